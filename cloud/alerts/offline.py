"""Which devices are offline, judged from what was heard of them. Pure.

Presence is kept in memory, so after a restart of the platform it knows nobody. Two things are
remembered beside it: which devices were ever heard (`Watch`), and when we were last away
ourselves (`Clock`), because silence while we did not listen is nobody's fault.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from cloud.alerts.rules import OfflineRule
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
    rule: OfflineRule, sight: Seen, *, waiting_since_ms: int, listening_since_ms: int, now_ms: int
) -> bool | None:
    """Tell whether a device that was ever heard is offline; None when nobody can tell yet.

    A last will counts at once. Else the device must have been silent for longer than the
    rule's time while we listened. It is online when it was heard within that time; in between
    (we have just come back, it has not) what was true before stays.
    """
    if sight.online is False:
        return True
    silent_since_ms = waiting_since_ms if sight.last_heard_ms is None else sight.last_heard_ms
    if now_ms - max(silent_since_ms, listening_since_ms) > rule.after_ms:
        return True
    if sight.last_heard_ms is not None and now_ms - sight.last_heard_ms <= rule.after_ms:
        return False
    return None


def by_tenant(devices: Iterable[RegisteredDevice]) -> dict[str, list[str]]:
    """Return the names of the devices of each tenant."""
    names: dict[str, list[str]] = {}
    for device in devices:
        names.setdefault(device.tenant, []).append(device.device)
    return names
