"""When cron steps are due: APScheduler computes the times of cron expressions. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger

from tidegate.contract import StepConfig
from tidegate.errors import Misconfigured

_EVERY = re.compile(r"@every (\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIX_FIELDS = 6
# A run is late, not missed, when it begins within this time.
_GRACE = timedelta(seconds=60)
MOST_CAUGHT_UP = 1_000
# Whoever reads no clock looks from a day that no process will see.
_FAR = datetime(2500, 1, 1, tzinfo=UTC)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Schedule(Protocol):
    """Computes times; pure."""

    def next_after(self, now: datetime) -> datetime:
        """Return the first time after `now` (aware) at which to run."""
        ...


class _Every:
    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def next_after(self, now: datetime) -> datetime:
        return now + self._interval


class _Crontab:
    def __init__(self, trigger: CronTrigger) -> None:
        self._trigger = trigger

    def next_after(self, now: datetime) -> datetime:
        due: datetime | None = self._trigger.get_next_fire_time(now, now)
        if due is None:
            raise Misconfigured("it is never due")
        return due


def schedule_of(config: StepConfig) -> Schedule:
    """Parse a cron step's schedule: 5 fields, 6 with leading seconds, or `@every 10s`.

    Raises:
        Misconfigured: the expression or the time zone is not valid, or it is never due.
    """
    try:
        schedule = _parsed(config)
        schedule.next_after(_FAR)
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError, Misconfigured) as exc:
        raise Misconfigured(f"cron '{config.cron}' in zone '{config.timezone}': {exc}") from exc
    return schedule


def _parsed(config: StepConfig) -> Schedule:
    every = _EVERY.fullmatch(config.cron)
    if every:
        seconds = float(every[1]) * _UNIT_S[every[2]]
        if seconds <= 0:
            raise ValueError("the interval must be above 0")
        return _Every(timedelta(seconds=seconds))
    fields = config.cron.split()
    if len(fields) not in (5, _SIX_FIELDS):
        raise ValueError("needs 5 or 6 fields or '@every 10s'")
    second = fields.pop(0) if len(fields) == _SIX_FIELDS else "0"
    minute, hour, day, month, day_of_week = fields
    trigger = CronTrigger(
        second=second, minute=minute, hour=hour, day=day, month=month,
        day_of_week=_weekdays(day_of_week), timezone=ZoneInfo(config.timezone),
    )  # fmt: skip
    return _Crontab(trigger)


def _weekdays(field: str) -> str:
    """Name the days of a crontab field: there 0 and 7 are Sunday, for APScheduler 0 is Monday."""
    if not re.fullmatch(r"[\d,\-*/]+", field) or field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-6" if span == "*" else span).partition("-")
        days.update(range(int(first), int(last or first) + 1, int(step or 1)))
    if not days <= set(range(8)):
        raise ValueError(f"day of week '{field}' is not in 0..7")
    return ",".join(_WEEKDAYS[day % 7] for day in sorted(days))


class Times(NamedTuple):
    """What is due: runs to begin, times that are passed over, and the next time."""

    begin: list[datetime]
    passed_over: int
    next_at: datetime


def times_due(
    schedule: Schedule,
    config: StepConfig,
    next_at: datetime | None,
    now: datetime,
    *,
    busy: bool,
) -> Times:
    """Return what to do now about a step whose next time is `next_at` (None: it is new).

    Missed times are dropped, or the last or all of them (1,000 at most) are caught up, by
    `catch_up`. A step that is still running is not begun again, unless `overlap` is "queue".
    """
    if next_at is None:
        return Times([], 0, schedule.next_after(now))
    due: list[datetime] = []
    while next_at <= now and len(due) < MOST_CAUGHT_UP:
        due.append(next_at)
        next_at = schedule.next_after(next_at)
    if next_at <= now:
        next_at = schedule.next_after(now)
    wanted = _wanted(due, config, now)
    if busy and config.overlap == "skip":
        wanted = []
    return Times(wanted, len(due) - len(wanted), next_at)


def _wanted(due: list[datetime], config: StepConfig, now: datetime) -> list[datetime]:
    if config.catch_up == "all":
        return due
    last = due[-1:]
    return last if config.catch_up == "last" or (last and now - last[0] <= _GRACE) else []
