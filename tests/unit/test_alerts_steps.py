"""The steps of the alert service, called as plain functions."""

import threading
from typing import Any, NamedTuple

import msgspec
import pytest

from cloud.alerts import changes, register
from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.rules import Rules, typed_rules
from cloud.alerts.steps import (
    check_presence_step,
    close_orphaned_alerts_step,
    close_quiet_anomalies_step,
    deliver_webhook_step,
    list_alerts_step,
    open_anomaly_alert_step,
    route_notice_step,
    track_alert_step,
)
from cloud.settings import AlertRule, Alerts, Settings, Smtp, Webhook
from tests.support.fake_context import FakeContext
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.events import AlertNotice, AnomalyDetected, ConditionChanged
from wire.ids import DeviceKey

pytestmark = pytest.mark.anyio

CHANGED = changes.TOPIC


class _Sight(NamedTuple):
    last_heard_ms: int | None = None
    online: bool | None = None


class _Presence:
    """Who was heard; a new one remembers nobody, as after a restart."""

    def __init__(self) -> None:
        self.seen: dict[str, _Sight] = {}

    def of(self, device: DeviceKey) -> _Sight:
        return self.seen.get(device.device, _Sight())


class _Device(NamedTuple):
    tenant: str
    device: str


class _Registry:
    """Registered devices of one tenant."""

    def __init__(self, *devices: str) -> None:
        self.names = list(devices)
        self.asked_in: threading.Thread | None = None

    def devices(self) -> list[_Device]:
        self.asked_in = threading.current_thread()
        return [_Device("demo", name) for name in self.names]


def _settings(**parts: Any) -> Settings:
    return Settings(alerts=Alerts(rules=[], **parts))


def _rules(*rules: AlertRule) -> Rules:
    return typed_rules(rules)


def _change(*, holds: bool, at_ms: int = 1_000, rule: str = "hot") -> ConditionChanged:
    return ConditionChanged(rule, "demo", "pump", "temp_c", holds, "critical", "s", at_ms)


def _anomaly(ts_ms: int = 1_000, device: str = "pump") -> AnomalyDetected:
    return AnomalyDetected("demo", device, "flow", ts_ms, 9.5, 2.0, 0.999, "residual")


def _notice(alert_id: str = "a1", **changed: Any) -> AlertNotice:
    notice = AlertNotice(alert_id, "hot", "demo", "pump", "t", "firing", "critical", "s", 1_000)
    return msgspec.structs.replace(notice, **changed)


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


class _Watched:
    """CheckPresence and TrackAlert on one state, as the runtime runs them."""

    def __init__(self, *devices: str) -> None:
        self.ctx = FakeContext()
        self.presence = _Presence()
        self.registry = _Registry(*devices)
        self.rules = _rules(AlertRule(name="silent", type="offline", after_s=60))

    def hear(self, device: str, *, online: bool | None = True) -> None:
        self.presence.seen[device] = _Sight(self.ctx.clock.now_ms(), online)

    async def check(self) -> list[tuple[str, str]]:
        """Run both steps; return the notices as (topic, device)."""
        await check_presence_step.handler(
            self.ctx, presence=self.presence, registry=self.registry, rules=self.rules
        )
        for change in self.ctx.take_emitted(CHANGED):
            await track_alert_step.handler(change, self.ctx)
        told, self.ctx.emitted = self.ctx.emitted, []
        return [(topic, notice.device) for topic, notice in told]

    async def check_for_s(self, seconds: int) -> list[tuple[str, str]]:
        told = []
        for _ in range(seconds // 5):
            self.ctx.clock.pass_s(5)
            told += await self.check()
        return told


async def test_check_presence_fires_on_silence_and_resolves_when_heard() -> None:
    """A silent device fires once; heard again it resolves once; a never-heard one is not missed."""
    watched = _Watched("pump", "never-heard")
    watched.hear("pump")

    assert await watched.check_for_s(60) == []
    assert await watched.check_for_s(60) == [("alert.fired", "pump")]
    watched.hear("pump")
    assert await watched.check_for_s(60) == [("alert.resolved", "pump")]


async def test_check_presence_does_not_read_the_fleet_in_the_event_loop() -> None:
    """Reading a large fleet takes a while; everything else goes on meanwhile."""
    watched = _Watched("pump")

    await watched.check()

    assert watched.registry.asked_in is not None
    assert watched.registry.asked_in is not threading.current_thread()


async def test_check_presence_takes_a_last_will_at_once() -> None:
    """A broker that saw the connection die need not be waited for."""
    watched = _Watched("pump")
    watched.hear("pump")
    await watched.check()

    watched.hear("pump", online=False)

    assert await watched.check() == [("alert.fired", "pump")]


@pytest.mark.parametrize("remembers", [True, False])
async def test_check_presence_gives_devices_time_after_a_quick_restart(
    monkeypatch: pytest.MonkeyPatch, *, remembers: bool
) -> None:
    """Only who does not come back in time is offline, whatever presence knows at the start."""
    watched = _Watched("comes-back", "stays-away")
    watched.hear("comes-back")
    watched.hear("stays-away")
    await watched.check_for_s(55)

    monkeypatch.setattr(check_presence_step, "LISTENER", "the next process")
    if not remembers:
        watched.presence.seen.clear()
    early = await watched.check_for_s(60)
    watched.hear("comes-back")
    late = await watched.check_for_s(10)

    assert early == []
    assert late == [("alert.fired", "stays-away")]


async def test_check_presence_neither_repeats_nor_forgets_over_a_restart() -> None:
    """An alert of before stays open through the restart and resolves when its device is heard."""
    watched = _Watched("pump")
    watched.hear("pump")
    assert await watched.check_for_s(70) == [("alert.fired", "pump")]

    watched.presence.seen.clear()
    watched.ctx.clock.pass_s(3_600)
    assert await watched.check_for_s(120) == []
    watched.hear("pump")

    assert await watched.check() == [("alert.resolved", "pump")]


async def test_check_presence_blames_no_device_for_our_own_absence() -> None:
    """After a long absence (or a suspended machine) silence counts from our return."""
    watched = _Watched("pump")
    watched.hear("pump")
    await watched.check()

    watched.ctx.clock.pass_s(8 * 3_600)

    assert await watched.check_for_s(60) == []
    assert await watched.check_for_s(15) == [("alert.fired", "pump")]


async def test_check_presence_resolves_devices_that_are_no_longer_registered() -> None:
    """A device that was taken away cannot come back to resolve its alert."""
    watched = _Watched("pump")
    watched.hear("pump")
    await watched.check_for_s(70)

    watched.registry.names.clear()

    assert await watched.check() == [("alert.resolved", "pump")]


async def test_route_notice_requests_one_delivery_per_target() -> None:
    """Each target gets an event of its own, and no URL leaves the settings."""
    settings = _settings(
        webhooks=[Webhook("https://a.example/token-1"), Webhook("https://b.example/token-2")],
        email_to=["one@example.com", "two@example.com"],
    )
    ctx = FakeContext()

    await route_notice_step.handler(_notice(), ctx, settings=settings)

    assert [topic for topic, _ in ctx.emitted] == ["delivery.requested.webhook"] * 2 + [
        "delivery.requested.email"
    ] * 2
    asked = [data for _, data in ctx.emitted]
    assert len({one.id for one in asked}) == 4
    assert b"token" not in msgspec.json.encode(asked)
    records = await ctx.state.get_group("deliveries")
    assert {record["status"] for record in records} == {"queued"}
    assert {record["target"] for record in records} == {
        "https://a.example/…",
        "https://b.example/…",
        "one@example.com",
        "two@example.com",
    }


@pytest.mark.parametrize(("host", "mails"), [(None, 1), ("smtp.example.com", 0)])
async def test_route_notice_without_recipients_keeps_a_mail_unless_there_is_a_server(
    host: str | None, mails: int
) -> None:
    """A newcomer finds mails in the outbox before naming anybody; nobody is written to."""
    settings = msgspec.structs.replace(_settings(), smtp=Smtp(host=host))
    ctx = FakeContext()

    await route_notice_step.handler(_notice(), ctx, settings=settings)

    assert len(ctx.take_emitted("delivery.requested.email")) == mails


async def test_deliver_webhook_gives_up_on_a_target_that_is_no_longer_configured() -> None:
    """The delivery is logged as failed and not tried again."""
    ctx = FakeContext()
    asked = DeliveryRequested("d1", "webhook", "unknown", "https://a.example/…", _notice())

    await deliver_webhook_step.handler(asked, ctx, settings=_settings())

    record = await ctx.state.get("deliveries", "d1")
    assert (record["status"], record["attempts"]) == ("failed", 1)
    assert "no longer" in record["error"]


async def test_list_alerts_shows_firing_first_and_newest_first() -> None:
    """What burns now stands at the top."""
    ctx = FakeContext()
    for notice in (
        _notice("old", started_at_ms=1),
        _notice("over", status="resolved", started_at_ms=9, ended_at_ms=10),
        _notice("new", started_at_ms=2),
    ):
        await register.keep(ctx.state, notice)

    answer = await list_alerts_step.handler(Request(query_params={}), ctx)
    firing = await list_alerts_step.handler(Request(query_params={"status": "firing"}), ctx)

    assert [alert["alert_id"] for alert in answer["body"]["alerts"]] == ["new", "old", "over"]
    assert [alert["alert_id"] for alert in firing["body"]["alerts"]] == ["new", "old"]


async def test_list_alerts_refuses_an_unknown_status() -> None:
    """A misspelt filter is no empty answer."""
    with pytest.raises(HTTPError, match="firing, resolved"):
        await list_alerts_step.handler(Request(query_params={"status": "fired"}), FakeContext())


def test_fake_context_fits_the_contract() -> None:
    """The fake can stand wherever a step wants its context (checked by mypy)."""
    ctx: Context = FakeContext()

    assert ctx.attempt == 1
