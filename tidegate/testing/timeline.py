"""Deliveries and cron steps on the virtual clock: what is due runs, one at a time, in order."""

from collections.abc import Sequence
from datetime import datetime

from tidegate.engine.cron import CronStep
from tidegate.engine.engine import Engine
from tidegate.engine.lapses import Lapses
from tidegate.testing.clock import VirtualClock
from tidegate.testing.faults import Faults
from tidegate.testing.outlets import Outlet


class Endless(AssertionError):
    """More events than allowed were handled without the clock moving."""


class Timeline:
    """Runs what is due when the clock says so, instead of a worker's and cron's own waits."""

    def __init__(
        self,
        engine: Engine,
        clock: VirtualClock,
        outlets: Sequence[Outlet],
        cron: Sequence[CronStep],
        *,
        most_events: int,
        faults: Faults,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._outlets = outlets
        self._cron = {step: clock.now_ms() for step in cron}
        self._lapses = Lapses(engine)
        self._most_events = most_events
        self._faults = faults

    async def begin(self) -> None:
        """Note the first times of the cron steps."""
        await self._begin_cron()

    async def drain(self) -> int:
        """Handle deliveries until none is due; return how many were."""
        await self._lapses.tell()
        for handled in range(self._most_events):
            if not await self._handle_next():
                return handled
        raise Endless(
            f"more than {self._most_events} events at one time: do steps emit to each other?"
        )

    async def tick(self, ms: int) -> None:
        """Move the clock by `ms`, stopping wherever something is due."""
        end_ms = self._clock.now_ms() + ms
        await self.drain()
        while (due_ms := await self._next_due_ms()) is not None and due_ms <= end_ms:
            self._clock.move_to(due_ms)
            await self._begin_cron()
            await self.drain()
        self._clock.move_to(end_ms)

    async def _handle_next(self) -> bool:
        """Handle the delivery that is due first; equal ones go in order of their steps."""
        due = [(at, one) for one in self._outlets if (at := await one.next_due_ms()) is not None]
        now = [item for item in due if item[0] <= self._clock.now_ms()]
        if not now:
            return False
        dice = self._faults.order
        _, outlet = dice.choice(now) if dice else min(now, key=lambda item: item[0])
        await outlet.run_next()
        return True

    async def _next_due_ms(self) -> int | None:
        deliveries = [await one.next_due_ms() for one in self._outlets]
        lapse = await self._engine.store.next_lapse_ms()
        times = [at for at in (*deliveries, lapse, *self._cron.values()) if at is not None]
        return min(times, default=None)

    async def _begin_cron(self) -> None:
        for step, due_ms in self._cron.items():
            if due_ms <= self._clock.now_ms():
                self._cron[step] = _ms(await step.begin_due())


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
