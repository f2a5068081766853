"""Deliveries and cron steps on the virtual clock: what is due runs, one at a time, in order."""

from collections.abc import Sequence
from datetime import datetime

from tidegate.engine.cron import Cron
from tidegate.engine.handling import Handling
from tidegate.testing.clock import VirtualClock


class Endless(AssertionError):
    """More events than allowed were handled without the clock moving."""


class Timeline:
    """Runs what is due when the clock says so, instead of a worker's and cron's own waits."""

    def __init__(
        self, clock: VirtualClock, lanes: Sequence[Handling], cron: Cron, *, most_events: int
    ) -> None:
        self._clock = clock
        self._most_events = most_events
        self._lanes = lanes
        self._cron = cron
        self._cron_due_ms = [
            _ms(schedule.next_after(clock.now())) for _, schedule in cron.schedules
        ]

    async def drain(self) -> int:
        """Handle deliveries until none is due; return how many were."""
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
            await self._run_cron()
            await self.drain()
        self._clock.move_to(end_ms)

    async def _handle_next(self) -> bool:
        """Handle the delivery that is due first; equal ones go in order of their steps."""
        due = [(at, lane) for lane in self._lanes if (at := await lane.next_due_ms()) is not None]
        at_ms, lane = min(due, key=lambda item: item[0], default=(None, None))
        if lane is None or at_ms is None or at_ms > self._clock.now_ms():
            return False
        for delivery in await lane.claim(1):
            await lane.handle(delivery)
        return True

    async def _next_due_ms(self) -> int | None:
        deliveries = [await lane.next_due_ms() for lane in self._lanes]
        times = [at for at in (*deliveries, *self._cron_due_ms) if at is not None]
        return min(times, default=None)

    async def _run_cron(self) -> None:
        for index, (step, schedule) in enumerate(self._cron.schedules):
            if self._cron_due_ms[index] <= self._clock.now_ms():
                await self._cron.run_once(step)
                self._cron_due_ms[index] = _ms(schedule.next_after(self._clock.now()))


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
