"""Alerts on the real engine: from what was seen to what people get."""

import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from cloud.alerts import changes
from cloud.alerts.conditions import Conditions
from cloud.alerts.evaluator import Evaluator
from cloud.alerts.rules import ThresholdRule, typed_rules
from cloud.settings import AlertRule, Alerts, Settings, Webhook
from tests.support.receivers import Answer, HttpReceiver
from tidegate.contract import Context
from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.store.sqlite.store import open_sqlite
from wire.events import AnomalyDetected, ConditionChanged, DataLost
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio

_STEPS = Path(__file__).parents[2] / "cloud" / "alerts" / "steps"
_SERIES = SeriesKey(TenantId("demo"), DeviceId("pump"), MetricName("temp_c"))
_HOT = AlertRule(name="hot", type="threshold", metric="temp_c", above=90.0, clear=80.0)


@asynccontextmanager
async def _running(settings: Settings, folder: Path) -> AsyncIterator[Engine]:
    """Run the alert steps on an engine with a store in `folder`."""
    found = discover([_STEPS])
    assert found.faults == []
    async with open_sqlite(folder / "state.db") as store:
        engine = Engine(found.steps, store, now_ms=lambda: round(time.time() * 1000), rng=Random(7))
        nobody = {"presence": None, "registry": None}
        rules = typed_rules(settings.alerts.rules)
        engine.provide({"settings": settings, "rules": rules, "data_dir": folder, **nobody})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Worker(engine).run)
            yield engine
            tasks.cancel_scope.cancel()


async def _group(engine: Engine, group: str) -> list[Any]:
    async def read(ctx: Context) -> list[Any]:
        return await ctx.state.get_group(group)

    return await engine.transact(read)


async def _holding(engine: Engine, rules: Sequence[ThresholdRule]) -> list[ConditionChanged]:
    async def read(ctx: Context) -> list[ConditionChanged]:
        return await changes.still_holding(ctx.state, rules)

    return await engine.transact(read)


async def _until_status(engine: Engine, status: str, count: int) -> list[Any]:
    """Wait until that many deliveries have the status; return all deliveries."""
    with anyio.fail_after(10):
        while True:
            records = await _group(engine, "deliveries")
            if sum(record["status"] == status for record in records) >= count:
                return records
            await anyio.sleep(0.02)


async def _until_evaluated(evaluator: Evaluator, points: int) -> None:
    with anyio.fail_after(10):
        while True:
            if evaluator.evaluated_points >= points:
                return
            await anyio.sleep(0.01)


def _kept_mails(folder: Path) -> list[Path]:
    return list(folder.glob("outbox/*.eml"))


def _anomaly() -> AnomalyDetected:
    return AnomalyDetected("demo", "pump", "flow", 1_000, 9.5, 2.0, 0.999, "residual")


async def test_an_anomaly_reaches_webhook_and_outbox(tmp_path: Path) -> None:
    """One anomaly is one alert, one POST and one mail, however many anomalies follow."""
    with HttpReceiver() as receiver:
        hook = Webhook(receiver.url, allow_private=True)
        settings = Settings(alerts=Alerts(webhooks=[hook]))
        async with _running(settings, tmp_path) as engine:
            for _ in range(3):
                await engine.emit("anomaly.detected", _anomaly())
            records = await _until_status(engine, "delivered", 2)
            alerts = await _group(engine, "alerts")

    assert sorted(record["channel"] for record in records) == ["email", "webhook"]
    assert [alert["status"] for alert in alerts] == ["firing"]
    assert len(receiver.received) == 1
    assert len(_kept_mails(tmp_path)) == 1


async def test_a_loss_of_messages_alerts_with_the_default_rules(tmp_path: Path) -> None:
    """A broker that forgot us is told to people without anything in the settings about it."""
    with HttpReceiver() as receiver:
        hook = Webhook(receiver.url, allow_private=True)
        settings = Settings(alerts=Alerts(webhooks=[hook]))
        async with _running(settings, tmp_path) as engine:
            await engine.emit("data.lost", DataLost("session_lost", "b:1883", 1_000))
            await _until_status(engine, "delivered", 2)
            (alert,) = await _group(engine, "alerts")

    assert (alert["rule"], alert["severity"]) == ("data-lost", "critical")
    assert len(receiver.received) == 1


async def test_a_target_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    """While one webhook does not answer, the other has its notice; neither gets it twice."""
    release = threading.Event()
    with HttpReceiver(Answer(after=release)) as slow, HttpReceiver() as quick:
        hooks = [Webhook(receiver.url, allow_private=True) for receiver in (slow, quick)]
        settings = Settings(alerts=Alerts(webhooks=hooks))
        async with _running(settings, tmp_path) as engine:
            await engine.emit("anomaly.detected", _anomaly())
            records = await _until_status(engine, "delivered", 2)
            waiting = [record["target"] for record in records if record["status"] == "queued"]
            release.set()
            await _until_status(engine, "delivered", 3)

    assert len(waiting) == 1
    assert (len(slow.received), len(quick.received)) == (1, 1)


async def test_threshold_alerts_survive_a_restart(tmp_path: Path) -> None:
    """After a restart a condition that holds fires no second time, and its end is noticed."""
    settings = Settings(alerts=Alerts(rules=[_HOT]))
    rules = typed_rules(settings.alerts.rules).thresholds

    async def feed(engine: Engine, *points: tuple[int, float]) -> None:
        evaluator = Evaluator(Conditions(rules, await _holding(engine, rules)), engine.transact)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(evaluator.run)
            for ts_ms, value in points:
                evaluator.tap.offer(StoredBatch(PointBatch([_SERIES], [ts_ms], [value]), {}))
            await _until_evaluated(evaluator, len(points))
            tasks.cancel_scope.cancel()

    async with _running(settings, tmp_path) as engine:
        await feed(engine, (1_000, 95.0))
        await _until_status(engine, "delivered", 1)
    async with _running(settings, tmp_path) as engine:
        await feed(engine, (2_000, 96.0), (3_000, 70.0))
        records = await _until_status(engine, "delivered", 2)
        (alert,) = await _group(engine, "alerts")

    assert len(records) == 2
    assert (alert["status"], alert["started_at_ms"], alert["ended_at_ms"]) == (
        "resolved",
        1_000,
        3_000,
    )
