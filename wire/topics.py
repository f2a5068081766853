"""The MQTT topics `t/{tenant}/{device}/{channel}`: built, parsed, subscribed to."""

from typing import Literal, NamedTuple, cast, get_args

from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

Channel = Literal[
    "telemetry", "status", "event", "ack", "cmd", "cmd/result", "twin/desired", "twin/reported"
]
_CHANNELS: frozenset[str] = frozenset(get_args(Channel))
_LEVELS_BEFORE_CHANNEL = 3


class Topic(NamedTuple):
    """A parsed topic: whose it is and which channel."""

    device: DeviceKey
    channel: Channel


def topic(device: DeviceKey, channel: Channel) -> str:
    """Return the MQTT topic of one device's channel."""
    return f"t/{device.tenant}/{device.device}/{channel}"


def all_devices(channel: Channel) -> str:
    """Return the MQTT filter that matches a channel of every device."""
    return f"t/+/+/{channel}"


def parse_topic(text: str) -> Topic:
    """Parse a topic; raise `Malformed` when it is not one of ours."""
    levels = text.split("/", _LEVELS_BEFORE_CHANNEL)
    if len(levels) <= _LEVELS_BEFORE_CHANNEL or levels[0] != "t":
        raise Malformed("topic is not t/{tenant}/{device}/{channel}")
    channel = levels[_LEVELS_BEFORE_CHANNEL]
    if channel not in _CHANNELS:
        raise Malformed("topic names no known channel")
    return Topic(DeviceKey(tenant_id(levels[1]), device_id(levels[2])), cast("Channel", channel))


def account_name(device: DeviceKey) -> str:
    """Return the broker's user name of a device; its client id is the same text."""
    return f"{device.tenant}/{device.device}"
