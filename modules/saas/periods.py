"""Billing periods: calendar months of a tenant's own time zone. Pure."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from modules.saas.errors import Rejected

_MONTH = re.compile(r"(2\d{3})-(0[1-9]|1[0-2])", re.ASCII)
_DECEMBER = 12


class Period(NamedTuple):
    """One calendar month; periods sort by time and print as `2026-01`."""

    year: int
    month: int

    def __str__(self) -> str:
        """Return `YYYY-MM`."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def first_day(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        """The last day."""
        return self.following.first_day - timedelta(days=1)

    @property
    def following(self) -> "Period":
        """The month after."""
        if self.month == _DECEMBER:
            return Period(self.year + 1, 1)
        return Period(self.year, self.month + 1)

    def days(self) -> Iterator[date]:
        """Yield each day."""
        for number in range(self.last_day.day):
            yield self.first_day + timedelta(days=number)


def parse_period(text: str) -> Period:
    """Read `YYYY-MM`; raise `Rejected` for anything else."""
    match = _MONTH.fullmatch(text)
    if match is None:
        raise Rejected(f"billingPeriod must be a month such as '2026-01', not {text[:20]!r}")
    return Period(int(match[1]), int(match[2]))


def period_of(day: date) -> Period:
    """Return the period that a day is in."""
    return Period(day.year, day.month)


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the local day of a moment."""
    return at.astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a local day, in UTC; also when the clock skips midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def end_of(period: Period, zone: ZoneInfo) -> datetime:
    """Return the moment at which a period is over, in UTC."""
    return start_of(period.following.first_day, zone)
