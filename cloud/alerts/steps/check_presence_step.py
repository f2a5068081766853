"""Finds devices that have gone silent, and those that have come back."""

import msgspec
from anyio import to_thread

from cloud.alerts import changes, offline, register
from cloud.alerts.offline import Clock, PresenceView, RegistryView, Seen, Watch
from cloud.alerts.rules import Rules
from tidegate.contract import Context
from wire.ids import DeviceId, DeviceKey, TenantId

config = {
    "type": "cron",
    "name": "CheckPresence",
    "description": "Begins and ends the conditions of offline rules",
    "flows": ["alerts"],
    "cron": "@every 5s",
    "emits": ["alert.condition.changed"],
}

_WATCHES = "offline_watch"
_CLOCK = ("offline_clock", "last_check")
# Several checks missed in a row mean that the platform was away, not that it was busy.
_LONGEST_GAP_MS = 20_000


async def handler(
    ctx: Context, *, presence: PresenceView, registry: RegistryView, rules: Rules
) -> None:
    """Compare every offline rule with what was heard of every registered device."""
    now_ms = round(ctx.now().timestamp() * 1000)
    clock = await _tick(ctx, now_ms, presence.listener)
    firing = await register.open_alerts(ctx.state)
    firing_ids = {alert.alert_id for alert in firing}
    # In a thread: a large fleet takes a while to read, and this runs every few seconds.
    registered = await to_thread.run_sync(_registered, registry)
    for tenant, devices in registered.items():
        seen = {device: presence.of(_key(tenant, device)) for device in sorted(devices)}
        watch = await _watch(ctx, tenant, seen)
        for change in offline.changes(rules.offlines, watch, seen, firing_ids, clock=clock):
            await changes.tell(ctx, change)
    for change in offline.vanished(rules.offlines, registered, firing, clock=clock):
        await changes.tell(ctx, change)


def _registered(registry: RegistryView) -> dict[str, set[str]]:
    return offline.by_tenant(registry.devices())


async def _tick(ctx: Context, now_ms: int, listener: str) -> Clock:
    kept = await ctx.state.get(*_CLOCK)
    before = Clock() if kept is None else msgspec.convert(kept, Clock)
    clock = before.tick(now_ms, listener=listener, longest_gap_ms=_LONGEST_GAP_MS)
    await ctx.state.set(*_CLOCK, msgspec.to_builtins(clock))
    return clock


async def _watch(ctx: Context, tenant: str, seen: dict[str, Seen]) -> Watch:
    """Bring the tenant's watch up to date; it is written only when it changes."""
    kept = await ctx.state.get(_WATCHES, tenant)
    before = Watch(tenant) if kept is None else msgspec.convert(kept, Watch)
    watch = offline.watched(before, seen)
    if watch != before:
        await ctx.state.set(_WATCHES, tenant, msgspec.to_builtins(watch))
    return watch


def _key(tenant: str, device: str) -> DeviceKey:
    return DeviceKey(TenantId(tenant), DeviceId(device))
