"""The evaluator: a bounded queue, changes that are never lost to a store that is away."""

import anyio
import pytest

from cloud.alerts.conditions import Conditions
from cloud.alerts.evaluator import Evaluator
from cloud.alerts.rules import Scope, ThresholdRule
from tidegate.errors import StoreAway
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio

_RULE = ThresholdRule("hot", "info", Scope(), "temp", "above", 90.0, 90.0)
_SERIES = SeriesKey(TenantId("demo"), DeviceId("pump"), MetricName("temp"))


class _Events:
    """Takes emitted events; refuses the first `away_for` of them."""

    def __init__(self, away_for: int = 0) -> None:
        self.taken: list[tuple[str, object]] = []
        self.arrived = anyio.Event()
        self._away_for = away_for

    async def emit(self, topic: str, data: object) -> None:
        if self._away_for:
            self._away_for -= 1
            raise StoreAway("not now")
        self.taken.append((topic, data))
        self.arrived.set()


def _batch(ts_ms: int, value: float) -> StoredBatch:
    return StoredBatch(PointBatch([_SERIES], [ts_ms], [value]), {})


async def test_evaluator_emits_what_began() -> None:
    """A batch that was offered is evaluated, and the change is emitted on its topic."""
    events = _Events()
    evaluator = Evaluator(Conditions([_RULE]), events.emit)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(evaluator.run)
        evaluator.offer(_batch(1, 99.0))
        with anyio.fail_after(5):
            await events.arrived.wait()
        tasks.cancel_scope.cancel()

    assert [topic for topic, _ in events.taken] == ["alert.condition.changed"]
    assert evaluator.waiting_batches == 0


async def test_evaluator_offers_a_change_until_the_store_takes_it() -> None:
    """While the event store is away nothing is forgotten and nothing overtakes."""
    events = _Events(away_for=2)
    evaluator = Evaluator(Conditions([_RULE]), events.emit)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(evaluator.run)
        evaluator.offer(_batch(1, 99.0))
        with anyio.fail_after(5):
            await events.arrived.wait()
        tasks.cancel_scope.cancel()

    assert len(events.taken) == 1


async def test_evaluator_drops_the_oldest_batch_when_its_queue_is_full() -> None:
    """Offering never waits; what is lost is the oldest, and it is counted."""
    events = _Events()
    evaluator = Evaluator(Conditions([_RULE]), events.emit, queue_batches=2)
    for ts_ms, value in enumerate([99.0, 10.0, 99.0]):
        evaluator.offer(_batch(ts_ms, value))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(evaluator.run)
        with anyio.fail_after(5):
            await events.arrived.wait()
        tasks.cancel_scope.cancel()

    assert evaluator.dropped_batches == 1
    assert [getattr(data, "at_ms", None) for _, data in events.taken] == [2]
