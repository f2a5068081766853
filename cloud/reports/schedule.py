"""When the daily report is due, and which day it is about. Pure: the time is an argument."""

import re
from datetime import date, datetime, time, timedelta, tzinfo

from cloud.reports.period import Period
from tidegate.errors import Misconfigured

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def time_of_day(text: str) -> time:
    """Read `HH:MM`; raise `Misconfigured` when it is something else."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Misconfigured(f'[reports] daily_at {text!r} must be a time of day such as "06:00"')
    return time(int(match[1]), int(match[2]))


def latest_due(now: datetime, daily_at: time, zone: tzinfo) -> date:
    """Return the newest local date whose `daily_at` has passed.

    A time that the clock shows twice (summer time ends) passes the first time; one that it skips
    (summer time begins) passes as long after midnight as on any other day.
    """
    today = now.astimezone(zone).date()
    # Compared as instants: within one zone, Python compares aware times by the clock's face.
    passed = now.timestamp() >= datetime.combine(today, daily_at, tzinfo=zone).timestamp()
    return today if passed else today - timedelta(days=1)


def due(now: datetime, daily_at: time, zone: tzinfo, last_date: date | None) -> date | None:
    """Return the date whose report is to be made now, or None.

    `last_date` is the date of the last one; None means never, and then nothing is due: a first
    start has no day behind it. Days that were missed altogether are not made up for.
    """
    latest = latest_due(now, daily_at, zone)
    return latest if last_date is not None and latest > last_date else None


def day_before(day: date, zone: tzinfo) -> Period:
    """Return the local day before `day`, midnight to midnight: 23 to 25 hours long."""
    start = datetime.combine(day - timedelta(days=1), time(), tzinfo=zone)
    end = datetime.combine(day, time(), tzinfo=zone)
    return Period(round(start.timestamp() * 1000), round(end.timestamp() * 1000))
