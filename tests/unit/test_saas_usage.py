"""Counting, days and months as pure functions."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.saas import usage
from modules.saas.periods import Period, day_of, end_of, parse_period, period_of, start_of

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "Africa/Cairo", "Pacific/Apia", "America/Santiago", "Asia/Kathmandu"]
).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2899, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(st.lists(st.text(max_size=8), max_size=300))
def test_counted_loses_nothing_and_stays_small(endpoints: list[str]) -> None:
    """Whatever endpoints are called, the total is their number and the value is bounded."""
    value = None
    for endpoint in endpoints:
        value = usage.counted(value, endpoint)

    kept = usage.checked(value)
    assert kept.get("total", 0) == len(endpoints)
    assert len(kept) <= usage.MAX_ENDPOINTS + 2


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("total", "/total"),
        ("other", "/other"),
        ("total?x=1", "/total"),
        ("", "/"),
        ("  ", "/"),
        ("/a?token=s3cret#x", "/a"),
        ("/" + "a" * 500, "/" + "a" * 119),
        ("/\u00e9t\u00e9/\u6f22", "/\u00e9t\u00e9/\u6f22"),
    ],
)
def test_endpoint_name_cannot_spoil_the_sum_nor_keep_secrets(endpoint: str, name: str) -> None:
    """An endpoint called `total` is an endpoint; queries are cut off."""
    assert usage.endpoint_name(endpoint) == name


@given(MOMENTS, ZONES)
def test_every_moment_is_in_one_day_and_one_period(at: datetime, zone: ZoneInfo) -> None:
    """Days and months leave no gap and do not overlap, across every change of the clocks."""
    day = day_of(at, zone)
    period = period_of(day)

    # Apia skipped a whole day (30 December 2011): a day ends where the next one begins.
    assert start_of(day, zone) <= at < start_of(day + timedelta(days=1), zone)
    assert start_of(period.first_day, zone) <= at < end_of(period, zone)


@given(st.integers(2000, 2998), st.integers(1, 12))
def test_period_reads_what_it_prints(year: int, month: int) -> None:
    """A month has its own days, and the next one begins the day after."""
    period = Period(year, month)

    assert parse_period(str(period)) == period
    assert [day.month for day in period.days()] == [month] * period.last_day.day
    assert period.following.first_day == period.last_day + timedelta(days=1)


def test_period_keys_are_all_days_and_the_late_ones() -> None:
    """February 2028 has 29 days; what comes late has a key of its own."""
    keys = usage.keys_of("acme", Period(2028, 2))

    assert (len(keys), keys[28], keys[29]) == (
        30,
        "usage:acme:2028-02-29",
        "usage:acme:2028-02-late",
    )
    assert usage.announced_key("acme", date(2028, 2, 29)) not in keys


@pytest.mark.parametrize(
    ("total", "limit", "announced", "told"),
    [
        (3, 3, None, False),
        (4, 3, None, True),
        (5, 3, 3, False),
        (5, 4, 3, True),
        (5, 3, 4, False),
        (1, 0, None, True),
        (10**12, None, None, False),
    ],
)
def test_threshold_is_told_once_and_again_after_an_upgrade(
    total: int, limit: int | None, announced: int | None, *, told: bool
) -> None:
    """The limit itself is allowed; unlimited is never exceeded."""
    assert usage.is_to_announce(total, limit, announced) is told
