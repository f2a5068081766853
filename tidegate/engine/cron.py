"""Begin the runs of cron steps when they are due: once over all processes.

What a step's next time is stands in the state; whoever looks first when it is over begins the run
in a transaction. A run is a delivery like that of an event: leased (and the lease renewed),
retried, journaled, one at a time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import structlog
from prometheus_client import Counter

from tidegate.contract import Context, Step
from tidegate.engine.engine import Engine
from tidegate.engine.routing import own_topic
from tidegate.engine.schedules import Times, schedule_of, times_due
from tidegate.errors import Conflict, StoreAway

GROUP = "tidegate.cron"
_LOOK_AGAIN_S = 30.0
_STORE_AWAY_WAIT_S = 1.0

_times = Counter("tidegate_cron_runs_total", "Times of cron steps by outcome", ["step", "outcome"])
log = structlog.get_logger()


class CronStep:
    """One cron step and its times."""

    def __init__(self, engine: Engine, step: Step) -> None:
        self.step = step
        self._engine = engine
        self._name = step.config.name
        self._schedule = schedule_of(step.config)
        # Another schedule in a new version of the step begins anew.
        self._spelled = f"{step.config.cron} {step.config.timezone}"

    async def begin_due(self) -> datetime:
        """Begin the runs that are due; returns when the next one is. May raise `StoreAway`."""
        busy = await self._engine.store.pending(self._name) > 0
        times = await self._engine.transact(lambda ctx: self._begin(ctx, busy=busy))
        _times.labels(self._name, "begun").inc(len(times.begin))
        if times.passed_over:
            _times.labels(self._name, "skipped").inc(times.passed_over)
            log.info("cron.skipped", step=self._name, times=times.passed_over, running=busy)
        return times.next_at

    async def _begin(self, ctx: Context, *, busy: bool) -> Times:
        known: dict[str, Any] = await ctx.state.get(GROUP, self._name) or {}
        next_at = known.get("next_at") if known.get("schedule") == self._spelled else None
        times = times_due(self._schedule, self.step.config, next_at, ctx.now(), busy=busy)
        if times.next_at != next_at:
            entry = {"schedule": self._spelled, "next_at": times.next_at}
            await ctx.state.set(GROUP, self._name, entry)
        for at in times.begin:
            await ctx.emit(own_topic(self.step.config), {"scheduledAt": at})
        return times


class Cron:
    """Begins the runs of an engine's cron steps until cancelled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        steps: Sequence[Step] = tuple(engine.steps.values())
        self.steps = [CronStep(engine, step) for step in steps if step.config.type == "cron"]

    async def run(self) -> None:
        """Begin every run at its time until cancelled."""
        async with anyio.create_task_group() as tasks:
            for step in self.steps:
                tasks.start_soon(self._follow, step)

    async def _follow(self, step: CronStep) -> None:
        while True:
            try:
                next_at = await step.begin_due()
            except (StoreAway, Conflict) as exc:
                log.warning("store.away", step=step.step.config.name, reason=str(exc))
                await anyio.sleep(_STORE_AWAY_WAIT_S)
            else:
                await anyio.sleep(self._wait_s(next_at))

    def _wait_s(self, next_at: datetime) -> float:
        """Return how long to sleep: in pieces, so that a clock that jumps is noticed."""
        left_s = (next_at - self._now()).total_seconds()
        return max(0.0, min(left_s, _LOOK_AGAIN_S))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._engine.now_ms() / 1000, UTC)
