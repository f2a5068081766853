"""Run cron steps when they are due. A run that is still going makes the next one skip."""

import re
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio
import structlog
from apscheduler.triggers.cron import CronTrigger
from prometheus_client import Counter

from tidegate.contract import Step, StepConfig
from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine, new_trace_id
from tidegate.errors import Misconfigured

_EVERY = re.compile(r"@every (\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_WAIT_S = 60.0
_SIX_FIELDS = 6
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_runs = Counter("tidegate_cron_runs_total", "Cron runs by outcome", ["step", "outcome"])
log = structlog.get_logger()


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
            raise Misconfigured("cron expression is never due")
        return due


def schedule_of(config: StepConfig) -> Schedule:
    """Parse a cron step's schedule: 5 fields, 6 with leading seconds, or `@every 10s`.

    Raises:
        Misconfigured: the expression or the time zone is not valid.
    """
    every = _EVERY.fullmatch(config.cron)
    if every:
        seconds = float(every[1]) * _UNIT_S[every[2]]
        if seconds <= 0:
            raise Misconfigured(f"cron '{config.cron}': the interval must be above 0")
        return _Every(timedelta(seconds=seconds))
    fields = config.cron.split()
    if len(fields) not in (5, _SIX_FIELDS):
        raise Misconfigured(f"cron '{config.cron}': needs 5 or 6 fields or '@every 10s'")
    second = fields.pop(0) if len(fields) == _SIX_FIELDS else "0"
    minute, hour, day, month, day_of_week = fields
    try:
        trigger = CronTrigger(
            second=second, minute=minute, hour=hour, day=day, month=month,
            day_of_week=_weekdays(day_of_week), timezone=ZoneInfo(config.timezone),
        )  # fmt: skip
    except (ValueError, ZoneInfoNotFoundError) as exc:
        raise Misconfigured(f"cron '{config.cron}' in zone '{config.timezone}': {exc}") from exc
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


class Cron:
    """Runs the cron steps of an engine until cancelled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        steps = [step for step in engine.steps.values() if step.config.type == "cron"]
        self.schedules = [(step, schedule_of(step.config)) for step in steps]

    async def run(self) -> None:
        """Run every cron step at its times until cancelled."""
        async with anyio.create_task_group() as tasks:
            for step, schedule in self.schedules:
                tasks.start_soon(self._run_step, step, schedule)

    async def _run_step(self, step: Step, schedule: Schedule) -> None:
        while True:
            await self._sleep_until(schedule.next_after(self._now()))
            await self.run_once(step)

    async def _sleep_until(self, due: datetime) -> None:
        """Wait in short pieces, so that a step of the clock delays a run by a minute at most."""
        while (left_s := (due - self._now()).total_seconds()) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left_s, _LONGEST_WAIT_S))

    async def run_once(self, step: Step) -> None:
        """Run a cron step now; a failure is counted and logged, the next run is due anyway."""
        name = step.config.name
        trace_id = new_trace_id()
        invocation = Invocation(step.config, trace_id, 1, f"{name}-{trace_id}", {}, _keep_nothing)
        try:
            with anyio.fail_after(step.config.timeout):
                await self._engine.invoke(step, invocation)
            _runs.labels(name, "done").inc()
        except Exception as exc:  # noqa: BLE001 - a handler is foreign code
            _runs.labels(name, "failed").inc()
            log.warning("cron.failed", step=name, error=f"{type(exc).__name__}: {exc}")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._engine.now_ms() / 1000, ZoneInfo("UTC"))


async def _keep_nothing(_name: str, _result: object) -> None:
    """Record nothing: a cron run that fails is not retried, the next one is due anyway."""
