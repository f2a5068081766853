"""When the daily report is due, also on the days on which the clock jumps."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.reports.schedule import day_before, due, latest_due, time_of_day
from tidegate.errors import Misconfigured

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
SIX = time(6)


def utc(day: date, hour: int, minute: int = 0) -> datetime:
    """Return a moment in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def test_due_at_the_sites_time_of_day() -> None:
    """06:00 in Berlin in winter is 05:00 UTC."""
    day = date(2026, 1, 15)
    yesterday = day - timedelta(days=1)

    assert due(utc(day, 4, 59), SIX, BERLIN, yesterday) is None
    assert due(utc(day, 5), SIX, BERLIN, yesterday) == day
    assert due(utc(day, 5, 1), SIX, BERLIN, day) is None


def test_due_never_on_a_first_start() -> None:
    """Without a last date nothing is due: there is no day behind a first start."""
    assert due(utc(date(2026, 1, 15), 23), SIX, BERLIN, None) is None


def test_due_makes_up_for_one_missed_morning() -> None:
    """After days of standstill only the newest report is made."""
    day = date(2026, 1, 15)

    assert due(utc(day, 9), SIX, BERLIN, day - timedelta(days=4)) == day


def test_due_once_when_the_clock_shows_the_time_twice() -> None:
    """02:30 comes twice when summer time ends: the first one counts, the second does not."""
    daily_at = time(2, 30)
    before = AUTUMN - timedelta(days=1)

    assert due(utc(AUTUMN, 0, 29), daily_at, BERLIN, before) is None
    assert due(utc(AUTUMN, 0, 30), daily_at, BERLIN, before) == AUTUMN
    assert due(utc(AUTUMN, 1, 30), daily_at, BERLIN, AUTUMN) is None


def test_due_when_the_clock_skips_the_time() -> None:
    """02:30 never comes when summer time begins: it is due at 03:30."""
    before = SPRING - timedelta(days=1)

    assert due(utc(SPRING, 1, 29), time(2, 30), BERLIN, before) is None
    assert due(utc(SPRING, 1, 30), time(2, 30), BERLIN, before) == SPRING


@given(
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31)),  # noqa: DTZ001
    st.times(),
    st.integers(min_value=0, max_value=3_000),
)
def test_latest_due_never_goes_back(moment: datetime, daily_at: time, later_min: int) -> None:
    """Time that passes never makes an older date the newest one."""
    now = moment.replace(tzinfo=UTC)

    earlier = latest_due(now, daily_at, BERLIN)
    later = latest_due(now + timedelta(minutes=later_min), daily_at, BERLIN)

    assert earlier <= later


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 1, 15), 24), (SPRING, 23), (AUTUMN, 25)])
def test_day_before_is_as_long_as_that_day_was(day: date, hours: int) -> None:
    """The local day from midnight to midnight has 23 to 25 hours."""
    period = day_before(day + timedelta(days=1), BERLIN)

    assert period.to_ms - period.from_ms == hours * 3_600_000


def test_time_of_day_refuses_what_is_none() -> None:
    """A wrong time of day is the operator's to correct."""
    assert time_of_day("06:30") == time(6, 30)
    with pytest.raises(Misconfigured, match=r"\[reports\] daily_at"):
        time_of_day("24:00")
