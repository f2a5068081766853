"""Evaluates threshold rules on every stored batch, behind a bounded queue."""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from cloud.alerts import changes
from cloud.alerts.conditions import Conditions
from cloud.timeseries.tap import Tap, until_taken
from tidegate.contract import Context
from wire.points import PointBatch

Transact = Callable[[Callable[[Context], Awaitable[None]]], Awaitable[None]]


class Evaluator:
    """The component between ingest and the alert steps.

    Stored batches wait in `tap`. The changes of one batch are emitted in one transaction, which
    is offered to the event store again until it takes it.
    """

    def __init__(
        self, conditions: Conditions, transact: Transact, *, queue_batches: int = 256
    ) -> None:
        self.tap = Tap("alerts", max_batches=queue_batches)
        self.evaluated_points = 0
        self.emitted_changes = 0
        self._conditions = conditions
        self._transact = transact

    async def run(self) -> None:
        """Evaluate batches in order of arrival until cancelled."""
        while True:
            for points in await self.tap.take():
                await self._evaluate(points)

    async def _evaluate(self, points: PointBatch) -> None:
        found = self._conditions.evaluate(points)
        if found:
            tell = partial(changes.tell_thresholds, found=found)
            await until_taken(partial(self._transact, tell), what=changes.TOPIC)
            self.emitted_changes += len(found)
        self.evaluated_points += len(points)
        await anyio.lowlevel.checkpoint()
