"""Whether a device is there, as the pages say it: from when it was last heard and its last will."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

from wire.ids import DeviceKey

Shown = Literal["online", "stale", "offline", "never heard"]
_DEFAULT_OFFLINE_S = 60.0
_STALE_SHARE = 0.5
_SECOND_MS = 1_000


class SeenDevice(Protocol):
    """What is known of one device's presence (`cloud.fleet.presence.Seen`)."""

    @property
    def last_heard_ms(self) -> int | None:
        """When anything of it arrived last, Unix ms."""
        ...

    @property
    def online(self) -> bool | None:
        """What its birth or last will said, None when it said nothing."""
        ...


class OfflineRule(Protocol):
    """The part of an alert rule that says which devices count as offline when."""

    @property
    def type(self) -> str:
        """The kind of rule; only `offline` matters here."""
        ...

    @property
    def tenant(self) -> str | None:
        """Whose devices it covers, None: everybody's."""
        ...

    @property
    def device(self) -> str | None:
        """The name of the devices that it covers, None: every name."""
        ...

    @property
    def after_s(self) -> float:
        """Silence, in seconds, after which the rule fires."""
        ...


class Limits(NamedTuple):
    """Silence, in milliseconds, after which a device is shown as stale and as offline."""

    stale_ms: int
    offline_ms: int


class DeviceLimits:
    """The limits of each device, which agree with the offline alert: page and mail say the same."""

    def __init__(self, rules: Iterable[OfflineRule]) -> None:
        self._rules = [rule for rule in rules if rule.type == "offline"]

    def of(self, device: DeviceKey) -> Limits:
        """Return the limits by the first alert that the device's silence fires."""
        spans = [
            rule.after_s
            for rule in self._rules
            if rule.tenant in (None, device.tenant) and rule.device in (None, device.device)
        ]
        offline_s = min(spans, default=_DEFAULT_OFFLINE_S)
        return Limits(int(offline_s * _STALE_SHARE * _SECOND_MS), int(offline_s * _SECOND_MS))


def limits_of(rules: Iterable[OfflineRule]) -> DeviceLimits:
    """Return the limits of all devices by the rules of the settings."""
    return DeviceLimits(rules)


def classify(seen: SeenDevice | None, now_ms: int, limits: Limits) -> Shown:
    """Return what a page says of a device: its own last will first, then its silence."""
    if seen is not None and seen.online is False:
        return "offline"
    if seen is None or seen.last_heard_ms is None:
        return "never heard"
    silence_ms = now_ms - seen.last_heard_ms
    if silence_ms > limits.offline_ms:
        return "offline"
    return "stale" if silence_ms > limits.stale_ms else "online"
