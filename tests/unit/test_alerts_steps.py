"""The steps that begin and end alerts, called as plain functions."""

import pytest

from cloud.alerts import changes, register
from cloud.alerts.rules import Rules, typed_rules
from cloud.alerts.steps import (
    close_orphaned_alerts_step,
    close_quiet_anomalies_step,
    open_anomaly_alert_step,
    track_alert_step,
)
from cloud.settings import AlertRule
from tests.support.fake_context import FakeContext
from tidegate.contract import Context
from wire.events import AnomalyDetected, ConditionChanged

pytestmark = pytest.mark.anyio


CHANGED = changes.TOPIC


def _rules(*rules: AlertRule) -> Rules:
    return typed_rules(rules)


def _change(*, holds: bool, at_ms: int = 1_000, rule: str = "hot") -> ConditionChanged:
    return ConditionChanged(rule, "demo", "pump", "temp_c", holds, "critical", "s", at_ms)


def _anomaly(ts_ms: int = 1_000, device: str = "pump") -> AnomalyDetected:
    return AnomalyDetected("demo", device, "flow", ts_ms, 9.5, 2.0, 0.999, "residual")


async def test_track_alert_fires_and_resolves_once_each() -> None:
    """However often a change is delivered, people hear of it once, and state shows the outcome."""
    ctx = FakeContext()

    for holds in (True, True, False, False):
        await track_alert_step.handler(_change(holds=holds, at_ms=5 if holds else 9), ctx)

    assert [topic for topic, _ in ctx.emitted] == ["alert.fired", "alert.resolved"]
    (kept,) = register.as_alerts(await ctx.state.get_group("alerts"))
    assert (kept.status, kept.started_at_ms, kept.ended_at_ms) == ("resolved", 5, 9)
    assert await register.open_alerts(ctx.state) == []


async def test_track_alert_keeps_resolved_alerts_for_a_week() -> None:
    """Resolved alerts lapse, firing ones stay however long they fire."""
    ctx = FakeContext()
    await track_alert_step.handler(_change(holds=True), ctx)
    await track_alert_step.handler(_change(holds=False), ctx)
    await track_alert_step.handler(_change(holds=True, rule="stays"), ctx)

    ctx.clock.pass_s(7 * 24 * 3600 + 1)

    kept = register.as_alerts(await ctx.state.get_group("alerts"))
    assert [alert.rule for alert in kept] == ["stays"]


async def test_track_alert_is_not_misled_by_an_end_that_overtook_its_beginning() -> None:
    """A beginning that is tried again after its end was handled does not fire for ever."""
    ctx = FakeContext()
    for holds in (True, False):
        await changes.tell(ctx, _change(holds=holds))
    began, ended = ctx.take_emitted(CHANGED)

    await track_alert_step.handler(ended, ctx)
    await track_alert_step.handler(began, ctx)

    assert ctx.emitted == []
    assert await register.open_alerts(ctx.state) == []


async def test_track_alert_is_not_misled_by_a_beginning_that_overtook_the_end_before() -> None:
    """The end of the first condition does not resolve the alert of the second, however late."""
    ctx = FakeContext()
    for holds in (True, False, True):
        await changes.tell(ctx, _change(holds=holds))
    first, end, second = ctx.take_emitted(CHANGED)

    for change in (first, second, end):
        await track_alert_step.handler(change, ctx)

    assert [topic for topic, _ in ctx.emitted] == ["alert.fired"]
    assert len(await register.open_alerts(ctx.state)) == 1


async def test_changes_are_numbered_for_each_alert_by_their_order_not_their_times() -> None:
    """Late data and data that is replayed begin and end conditions like any other."""
    ctx = FakeContext()
    await changes.tell(ctx, _change(holds=True, at_ms=9_000))
    await changes.tell(ctx, _change(holds=False, at_ms=9_500))
    await changes.tell(ctx, _change(holds=True, at_ms=1_000))
    await changes.tell(ctx, _change(holds=True, rule="other"))

    told = ctx.take_emitted(CHANGED)
    for change in told:
        await track_alert_step.handler(change, ctx)

    assert [change.number for change in told] == [1, 2, 3, 1]
    assert len(await register.open_alerts(ctx.state)) == 2


@pytest.mark.parametrize("days", [6.5, 30, 100])
async def test_a_number_outlives_the_memory_of_what_was_handled(days: float) -> None:
    """A condition that holds for months still ends."""
    ctx = FakeContext()
    for holds in (True, False, True):
        await changes.tell(ctx, _change(holds=holds))
        for change in ctx.take_emitted(CHANGED):
            await track_alert_step.handler(change, ctx)
    ctx.clock.pass_s(days * 24 * 3600)

    await changes.tell(ctx, _change(holds=False))
    await track_alert_step.handler(ctx.take_emitted(CHANGED)[0], ctx)

    assert await register.open_alerts(ctx.state) == []


async def test_open_anomaly_alert_begins_one_condition_per_matching_rule() -> None:
    """Rules that do not cover the series, and repeated anomalies, begin nothing."""
    rules = _rules(
        AlertRule(name="all", type="anomaly", severity="critical"),
        AlertRule(name="other-device", type="anomaly", device="fan"),
        AlertRule(name="offline", type="offline"),
    )
    ctx = FakeContext()

    await open_anomaly_alert_step.handler(_anomaly(), ctx, rules=rules)
    await open_anomaly_alert_step.handler(_anomaly(2_000), ctx, rules=rules)

    (began,) = ctx.take_emitted(CHANGED)
    assert (began.rule, began.holds, began.at_ms, began.severity) == (
        "all",
        True,
        1_000,
        "critical",
    )
    assert began.summary == "flow was 9.50 where 2.00 was expected (residual, score 0.999)"


async def test_close_quiet_anomalies_waits_for_the_last_anomaly() -> None:
    """The quiet time counts from the last anomaly by our clock; the end is told in event time."""
    rules = _rules(AlertRule(name="all", type="anomaly", quiet_s=60))
    ctx = FakeContext()
    await open_anomaly_alert_step.handler(_anomaly(1_000), ctx, rules=rules)
    ctx.clock.pass_s(50)
    await open_anomaly_alert_step.handler(_anomaly(2_000), ctx, rules=rules)
    ctx.take_emitted(CHANGED)

    ctx.clock.pass_s(59)
    await close_quiet_anomalies_step.handler(ctx, rules=rules)
    too_early = ctx.take_emitted(CHANGED)
    ctx.clock.pass_s(1)
    await close_quiet_anomalies_step.handler(ctx, rules=rules)
    await close_quiet_anomalies_step.handler(ctx, rules=rules)

    assert too_early == []
    (ended,) = ctx.take_emitted(CHANGED)
    assert (ended.holds, ended.at_ms) == (False, 2_000 + 60_000)


async def test_an_anomaly_after_the_quiet_time_begins_anew() -> None:
    """Once ended, the next anomaly is a new beginning even before its end was tracked."""
    rules = _rules(AlertRule(name="all", type="anomaly", quiet_s=60))
    ctx = FakeContext()
    await open_anomaly_alert_step.handler(_anomaly(1_000), ctx, rules=rules)
    ctx.clock.pass_s(60)
    await close_quiet_anomalies_step.handler(ctx, rules=rules)

    await open_anomaly_alert_step.handler(_anomaly(90_000), ctx, rules=rules)

    assert [change.holds for change in ctx.take_emitted(CHANGED)] == [True, False, True]


async def test_close_orphaned_alerts_ends_what_no_rule_watches() -> None:
    """An alert whose rule was removed would fire for ever."""
    ctx = FakeContext()
    await track_alert_step.handler(_change(holds=True, rule="removed"), ctx)
    await track_alert_step.handler(_change(holds=True, rule="hot"), ctx)
    rules = _rules(AlertRule(name="hot", type="threshold", metric="temp_c", above=1.0))

    await close_orphaned_alerts_step.handler(ctx, rules=rules)

    (ended,) = ctx.take_emitted(CHANGED)
    assert (ended.rule, ended.holds) == ("removed", False)


def test_fake_context_fits_the_contract() -> None:
    """The fake can stand wherever a step wants its context (checked by mypy)."""
    ctx: Context = FakeContext()

    assert ctx.attempt == 1
