"""The evaluator: changes that are never lost, to a store that is away or to a crash."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from cloud.alerts import changes
from cloud.alerts.conditions import Conditions
from cloud.alerts.evaluator import Evaluator
from cloud.alerts.rules import Scope, ThresholdRule
from cloud.alerts.steps import track_alert_step
from tests.support.fake_context import FakeContext
from tidegate.contract import Context
from tidegate.errors import StoreAway
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio

_RULE = ThresholdRule("hot", "info", Scope(), "temp", "above", 90.0, 90.0)
_PUMP = SeriesKey(TenantId("demo"), DeviceId("pump"), MetricName("temp"))
_FAN = SeriesKey(TenantId("demo"), DeviceId("fan"), MetricName("temp"))


class _Store:
    """Runs transactions on one state; the first `away_for` of them are refused."""

    def __init__(self, away_for: int = 0) -> None:
        self.ctx = FakeContext()
        self.commits = 0
        self._away_for = away_for

    async def transact(self, fn: Callable[[Context], Awaitable[None]]) -> None:
        if self._away_for:
            self._away_for -= 1
            raise StoreAway("not now")
        await fn(self.ctx)
        self.commits += 1

    async def holding(self) -> Any:
        return await changes.still_holding(self.ctx.state, [_RULE])

    async def track(self) -> list[str]:
        """Run TrackAlert on what was emitted; return the topics of the notices."""
        for change in self.ctx.take_emitted(changes.TOPIC):
            await track_alert_step.handler(change, self.ctx)
        told, self.ctx.emitted = [topic for topic, _ in self.ctx.emitted], []
        return told


def _batch(*points: tuple[SeriesKey, int, float]) -> StoredBatch:
    batch = PointBatch()
    for point in points:
        batch.append(*point)
    return StoredBatch(batch, {})


@asynccontextmanager
async def _running(evaluator: Evaluator, *, until_points: int) -> AsyncIterator[None]:
    """Run an evaluator until it has looked at so many points."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(evaluator.run)
        yield
        with anyio.fail_after(5):
            while evaluator.evaluated_points < until_points:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()


async def _evaluate(store: _Store, conditions: Conditions, batch: StoredBatch) -> None:
    evaluator = Evaluator(conditions, store.transact)
    async with _running(evaluator, until_points=len(batch.points)):
        evaluator.tap.offer(batch)


async def test_evaluator_emits_the_changes_of_a_batch_together() -> None:
    """What one batch changes leaves in one transaction, on the topic of conditions."""
    store = _Store()

    await _evaluate(store, Conditions([_RULE]), _batch((_PUMP, 1, 99.0), (_FAN, 1, 99.0)))

    assert [data.device for data in store.ctx.take_emitted(changes.TOPIC)] == ["pump", "fan"]
    assert store.commits == 1


async def test_evaluator_offers_a_change_until_the_store_takes_it() -> None:
    """While the event store is away nothing is forgotten, and what comes waits behind it."""
    store = _Store(away_for=2)
    evaluator = Evaluator(Conditions([_RULE]), store.transact)

    async with _running(evaluator, until_points=2):
        evaluator.tap.offer(_batch((_PUMP, 1, 99.0)))
        evaluator.tap.offer(_batch((_PUMP, 2, 10.0)))

    assert [data.holds for data in store.ctx.take_emitted(changes.TOPIC)] == [True, False]
    assert evaluator.emitted_changes == 2


async def test_alert_ends_when_we_died_before_its_beginning_was_tracked() -> None:
    """A beginning that nobody has handled yet is known to the next process, which tells its end."""
    store = _Store()
    await _evaluate(store, Conditions([_RULE]), _batch((_PUMP, 1, 99.0)))

    await _evaluate(store, Conditions([_RULE], await store.holding()), _batch((_PUMP, 2, 10.0)))

    assert await store.track() == ["alert.fired", "alert.resolved"]


async def test_alert_fires_again_when_we_died_before_its_end_was_tracked() -> None:
    """An end that nobody has handled yet does not hide the next beginning from us."""
    store = _Store()
    points = _batch((_PUMP, 1, 99.0), (_PUMP, 2, 10.0))
    await _evaluate(store, Conditions([_RULE]), points)

    await _evaluate(store, Conditions([_RULE], await store.holding()), _batch((_PUMP, 3, 99.0)))

    assert await store.track() == ["alert.fired", "alert.resolved", "alert.fired"]


async def test_what_no_rule_watches_any_more_does_not_hold() -> None:
    """A rule that is taken out and put in again begins anew."""
    store = _Store()
    await _evaluate(store, Conditions([_RULE]), _batch((_PUMP, 1, 99.0)))

    without = await changes.still_holding(store.ctx.state, [])

    assert without == []
    assert await store.holding() == []
