"""The step that watches who is silent, called as a plain function."""

import threading
from typing import NamedTuple

import pytest

from cloud.alerts import changes
from cloud.alerts.rules import Rules, typed_rules
from cloud.alerts.steps import (
    check_presence_step,
    track_alert_step,
)
from cloud.settings import AlertRule
from tests.support.fake_context import FakeContext
from wire.ids import DeviceKey

pytestmark = pytest.mark.anyio


CHANGED = changes.TOPIC


class _Sight(NamedTuple):
    last_heard_ms: int | None = None
    online: bool | None = None


class _Presence:
    """Who was heard; a new one remembers nobody, as after a restart."""

    def __init__(self) -> None:
        self.listener = "this process"
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


def _rules(*rules: AlertRule) -> Rules:
    return typed_rules(rules)


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
async def test_check_presence_gives_devices_time_after_a_quick_restart(*, remembers: bool) -> None:
    """Only who does not come back in time is offline, whatever presence knows at the start."""
    watched = _Watched("comes-back", "stays-away")
    watched.hear("comes-back")
    watched.hear("stays-away")
    await watched.check_for_s(55)

    watched.presence.listener = "the next process"
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
