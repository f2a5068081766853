"""Evaluates threshold rules on every stored batch, behind a bounded queue."""

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import structlog

from cloud.alerts.conditions import Conditions
from tidegate.errors import StoreAway
from wire.events import ConditionChanged
from wire.points import StoredBatch

Emit = Callable[[str, object], Awaitable[None]]

CONDITION_CHANGED = "alert.condition.changed"
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0

log = structlog.get_logger()


class Evaluator:
    """The component between ingest and the alert steps.

    Stored batches wait in a queue of `queue_batches`; when it is full the oldest is dropped
    and counted: what is true now matters more for an alert than what was true before. A change
    that the event store does not take is offered again until it does, in order.
    """

    def __init__(self, conditions: Conditions, emit: Emit, *, queue_batches: int = 256) -> None:
        self.dropped_batches = 0
        self.evaluated_points = 0
        self.emitted_changes = 0
        self._conditions = conditions
        self._emit = emit
        self._queue_batches = queue_batches
        self._queue: deque[StoredBatch] = deque()
        self._arrived = anyio.Event()

    @property
    def waiting_batches(self) -> int:
        """How many batches wait to be evaluated."""
        return len(self._queue)

    def offer(self, batch: StoredBatch) -> None:
        """Take a batch without waiting; call it from the event loop."""
        if len(self._queue) >= self._queue_batches:
            self._queue.popleft()
            if not self.dropped_batches:
                log.warning("alert.batch.dropped", queue_batches=self._queue_batches)
            self.dropped_batches += 1
        self._queue.append(batch)
        self._arrived.set()

    async def run(self) -> None:
        """Evaluate batches in order of arrival until cancelled."""
        while True:
            while self._queue:
                await self._evaluate(self._queue.popleft())
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def _evaluate(self, batch: StoredBatch) -> None:
        for change in self._conditions.evaluate(batch.points):
            await self._emit_until_taken(change)
            self.emitted_changes += 1
        self.evaluated_points += len(batch.points)
        await anyio.lowlevel.checkpoint()

    async def _emit_until_taken(self, change: ConditionChanged) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await self._emit(CONDITION_CHANGED, change)
            except StoreAway as exc:
                if wait_s == _FIRST_WAIT_S:
                    log.warning("alert.change.waits", rule=change.rule, reason=str(exc))
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
