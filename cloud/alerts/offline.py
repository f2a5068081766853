"""Which devices are offline, judged from what was heard of them. Pure.

Presence is kept in memory, so after a restart of the platform it knows nobody. Two things are
remembered beside it: which devices were ever heard (`Watch`), and when we were last away
ourselves (`Clock`), because silence while we did not listen is nobody's fault.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

import msgspec

from cloud.alerts import wording
from cloud.alerts.lifecycle import alert_id
from cloud.alerts.rules import OfflineRule
from wire.events import AlertNotice, ConditionChanged
from wire.ids import DeviceKey

_HEARD = 0


class Seen(Protocol):
    """What is known of one device since the start (`cloud.fleet.presence.Seen`)."""

    @property
    def last_heard_ms(self) -> int | None:
        """When anything of it arrived last (Unix ms)."""
        ...

    @property
    def online(self) -> bool | None:
        """False: its last will arrived and nothing since."""
        ...


class PresenceView(Protocol):
    """Who was heard when (`cloud.fleet.presence.Presence`)."""

    def of(self, device: DeviceKey) -> Seen:
        """Return what is known of a device."""
        ...


class RegisteredDevice(Protocol):
    """A registered device (`cloud.fleet.registry.Device`)."""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def device(self) -> str:
        """Its name."""
        ...


class RegistryView(Protocol):
    """The devices that exist (`cloud.fleet.registry.Registry`)."""

    def devices(self) -> Sequence[RegisteredDevice]:
        """Return all devices."""
        ...


class Clock(msgspec.Struct, frozen=True):
    """When the check ran last, and since when we have listened without a pause (Unix ms)."""

    checked_at_ms: int = 0
    listening_since_ms: int = 0

    def tick(self, now_ms: int, *, longest_gap_ms: int) -> "Clock":
        """Return the clock after a check; a gap longer than that means we were away."""
        was_away = self.checked_at_ms > 0 and now_ms - self.checked_at_ms > longest_gap_ms
        return Clock(now_ms, now_ms if was_away else self.listening_since_ms)


class Watch(msgspec.Struct, frozen=True):
    """A tenant's devices that were ever heard.

    The number is 0 while presence remembers the device; after a restart it is the time since
    when we have been waiting for it to come back (Unix ms).
    """

    tenant: str
    waiting_since_ms: dict[str, int] = {}


def watched(before: Watch, seen: Mapping[str, Seen], now_ms: int) -> Watch:
    """Return the watch over the tenant's registered devices (`seen` has one entry for each)."""
    waiting: dict[str, int] = {}
    for device, sight in seen.items():
        if sight.last_heard_ms is not None:
            waiting[device] = _HEARD
        elif device in before.waiting_since_ms:
            waiting[device] = before.waiting_since_ms[device] or now_ms
    return Watch(before.tenant, waiting)


def is_offline(
    rule: OfflineRule, sight: Seen, *, waiting_since_ms: int, clock: Clock
) -> bool | None:
    """Tell whether a device that was ever heard is offline; None when nobody can tell yet.

    A last will counts at once. Else the device must have been silent for longer than the
    rule's time while we listened. It is online when it was heard within that time; in between
    (we have just come back, it has not) what was true before stays.
    """
    if sight.online is False:
        return True
    now_ms = clock.checked_at_ms
    silent_since_ms = waiting_since_ms if sight.last_heard_ms is None else sight.last_heard_ms
    if now_ms - max(silent_since_ms, clock.listening_since_ms) > rule.after_ms:
        return True
    if sight.last_heard_ms is not None and now_ms - sight.last_heard_ms <= rule.after_ms:
        return False
    return None


def changes(
    rules: Sequence[OfflineRule],
    watch: Watch,
    seen: Mapping[str, Seen],
    firing_ids: AbstractSet[str],
    *,
    clock: Clock,
) -> Iterator[ConditionChanged]:
    """Yield what began or ended for one tenant's watched devices.

    `firing_ids` are the ids of the alerts that fire: what they say already is no change.
    """
    for rule in rules:
        for device, waiting_since_ms in watch.waiting_since_ms.items():
            if not rule.scope.covers(watch.tenant, device):
                continue
            sight = seen[device]
            offline = is_offline(rule, sight, waiting_since_ms=waiting_since_ms, clock=clock)
            fires = alert_id(rule.name, watch.tenant, device, "") in firing_ids
            if offline is None or offline == fires:
                continue
            summary = wording.presence(rule, offline=offline, said_so=sight.online is False)
            yield _change(rule, watch.tenant, device, offline=offline, clock=clock, text=summary)


def vanished(
    rules: Sequence[OfflineRule],
    registered: Mapping[str, Iterable[str]],
    firing: Iterable[AlertNotice],
    *,
    clock: Clock,
) -> Iterator[ConditionChanged]:
    """Yield the end of every offline alert whose device (by tenant) is registered no more."""
    rule_of_name = {rule.name: rule for rule in rules}
    for alert in firing:
        rule = rule_of_name.get(alert.rule)
        if rule is not None and alert.device not in registered.get(alert.tenant, ()):
            text = "the device is no longer registered"
            yield _change(rule, alert.tenant, alert.device, offline=False, clock=clock, text=text)


def _change(
    rule: OfflineRule, tenant: str, device: str, *, offline: bool, clock: Clock, text: str
) -> ConditionChanged:
    return ConditionChanged(
        rule=rule.name,
        tenant=tenant,
        device=device,
        metric="",
        holds=offline,
        severity=rule.severity,
        summary=text,
        at_ms=clock.checked_at_ms,
    )


def by_tenant(devices: Iterable[RegisteredDevice]) -> dict[str, set[str]]:
    """Return the names of the devices of each tenant."""
    names: dict[str, set[str]] = {}
    for device in devices:
        names.setdefault(device.tenant, set()).add(device.device)
    return names
