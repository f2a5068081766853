"""Which devices are offline, judged from what was heard of them. Pure.

Presence is kept in memory, so after a restart of the platform it may know nobody. Two things
are remembered beside it: which devices were ever heard (`Watch`), and since when we listen
(`Clock`), because silence while we did not listen is nobody's fault.
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

    @property
    def listener(self) -> str:
        """Who has listened: another one after each restart."""
        ...

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
    """When the check ran last, and who has listened since when without a pause (Unix ms)."""

    checked_at_ms: int = 0
    listening_since_ms: int = 0
    listener: str = ""

    def tick(self, now_ms: int, *, listener: str, longest_gap_ms: int) -> "Clock":
        """Return the clock after a check.

        Another listener (a process that has just started), or a gap longer than that between
        two checks (a suspended machine), means that nobody listened until now.
        """
        was_away = listener != self.listener or now_ms - self.checked_at_ms > longest_gap_ms
        return Clock(now_ms, now_ms if was_away else self.listening_since_ms, listener)


class Watch(msgspec.Struct, frozen=True):
    """The names of a tenant's devices that were ever heard."""

    tenant: str
    devices: list[str] = []


def watched(before: Watch, seen: Mapping[str, Seen]) -> Watch:
    """Return the watch over the tenant's registered devices (`seen` has one entry for each)."""
    heard_before = set(before.devices)
    devices = [
        device
        for device, sight in seen.items()
        if sight.last_heard_ms is not None or device in heard_before
    ]
    return Watch(before.tenant, sorted(devices))


def is_offline(rule: OfflineRule, sight: Seen, clock: Clock) -> bool | None:
    """Tell whether a device that was ever heard is offline; None when nobody can tell yet.

    A last will counts at once. Else the device must have been silent for longer than the
    rule's time while we listened. It is online when it was heard within that time; in between
    (we have just come back, it has not) what was true before stays.
    """
    if sight.online is False:
        return True
    last_heard_ms = sight.last_heard_ms or 0
    if clock.checked_at_ms - max(last_heard_ms, clock.listening_since_ms) > rule.after_ms:
        return True
    if clock.checked_at_ms - last_heard_ms <= rule.after_ms:
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
        for device in watch.devices:
            if not rule.scope.covers(watch.tenant, device):
                continue
            sight = seen[device]
            offline = is_offline(rule, sight, clock)
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
