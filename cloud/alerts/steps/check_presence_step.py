"""Finds devices that have gone silent, and those that have come back."""

import uuid

import msgspec

from cloud.alerts import offline, register
from cloud.alerts.offline import Clock, PresenceView, RegistryView, Seen, Watch
from cloud.alerts.rules import typed_rules
from cloud.settings import Settings
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
# Tells this process from the one before it, however quickly it was restarted.
LISTENER = uuid.uuid4().hex


async def handler(
    ctx: Context, *, presence: PresenceView, registry: RegistryView, settings: Settings
) -> None:
    """Compare every offline rule with what was heard of every registered device."""
    now_ms = round(ctx.now().timestamp() * 1000)
    rules = typed_rules(settings.alerts.rules).offlines
    clock = await _tick(ctx, now_ms)
    firing = await register.open_alerts(ctx.state)
    firing_ids = {alert.alert_id for alert in firing}
    registered = offline.by_tenant(registry.devices())
    for tenant, devices in registered.items():
        seen = {device: presence.of(_key(tenant, device)) for device in sorted(devices)}
        watch = await _watch(ctx, tenant, seen)
        for change in offline.changes(rules, watch, seen, firing_ids, clock=clock):
            await ctx.emit("alert.condition.changed", change)
    for change in offline.vanished(rules, registered, firing, clock=clock):
        await ctx.emit("alert.condition.changed", change)


async def _tick(ctx: Context, now_ms: int) -> Clock:
    kept = await ctx.state.get(*_CLOCK)
    before = Clock() if kept is None else msgspec.convert(kept, Clock)
    clock = before.tick(now_ms, listener=LISTENER, longest_gap_ms=_LONGEST_GAP_MS)
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
