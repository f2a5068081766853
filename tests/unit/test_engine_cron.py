"""Cron expressions give the times that they mean."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tidegate.definition.normalise import normalise
from tidegate.engine.schedules import schedule_of
from tidegate.errors import Misconfigured


def _next(cron: str, now: datetime, timezone: str = "UTC") -> datetime:
    config = normalise({"type": "cron", "name": "C", "cron": cron, "timezone": timezone})
    return schedule_of(config).next_after(now)


def test_cron_knows_the_zone_over_a_change_of_clocks() -> None:
    """06:00 in Berlin is 05:00 UTC in winter and 04:00 UTC in summer."""
    winter = _next("0 6 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), "Europe/Berlin")

    assert winter.astimezone(UTC) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    assert winter.tzinfo == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("field", "day"), [("0", 29), ("7", 29), ("1", 30), ("1-5", 25), ("6", 28)]
)
def test_cron_counts_weekdays_from_sunday(field: str, day: int) -> None:
    """0 and 7 are Sunday, 1 is Monday, as in every crontab."""
    due = _next(f"0 0 * * {field}", datetime(2026, 11, 24, 12, tzinfo=UTC))

    assert due.day == day


def test_cron_takes_seconds_and_intervals() -> None:
    """Six fields begin with seconds; `@every` counts from now."""
    now = datetime(2026, 11, 24, 12, 0, 1, tzinfo=UTC)

    assert _next("*/10 * * * * *", now).second == 10
    assert (_next("@every 1.5s", now) - now).total_seconds() == 1.5


@pytest.mark.parametrize("cron", ["61 * * * *", "* *", "@every 0s", "0 0 * * 9", "every day"])
def test_cron_mistakes_refuse_the_start(cron: str) -> None:
    """A wrong expression names itself."""
    with pytest.raises(Misconfigured, match="cron"):
        _next(cron, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [
        ("0 0 30 2 *", "UTC"),
        ("0 6 * * *", "America"),
        ("0 6 * * *", ""),
        ("0 6 * * *", "../zone"),
        ("@every 99999999999999d", "UTC"),
        ("@every 3650000d", "UTC"),
        (f"@every {'9' * 400}s", "UTC"),
    ],
)
def test_cron_refuses_what_is_never_due(cron: str, timezone: str) -> None:
    """A schedule without a first time is refused when it is loaded, whatever is wrong with it."""
    config = normalise({"type": "cron", "name": "C", "cron": cron, "timezone": timezone})

    with pytest.raises(Misconfigured, match="cron '"):
        schedule_of(config)
