"""The channels of an AsyncAPI document: topics, MQTT filters, paths. Pure."""

import re
from collections.abc import Sequence
from typing import Any


class Channel:
    """One channel: its key in the document, its address, what travels on it."""

    def __init__(self, channel_id: str, address: str, names: Sequence[str]) -> None:
        self.id = channel_id
        self.messages: dict[str, Any] = {}
        self.bindings: dict[str, Any] = {}
        self.more: dict[str, Any] = {}
        self._address = address
        self._names = names

    @staticmethod
    def message_id(name: str) -> str:
        """Return the key of a message."""
        return _plain(name)

    def shown(self) -> dict[str, Any]:
        """Return the channel as the document has it."""
        messages = sorted(self.messages.items()) or [("event", {"title": "What is emitted"})]
        channel: dict[str, Any] = {
            "address": self._address,
            "messages": {_plain(name): {"name": name, **rest} for name, rest in messages},
            **self.more,
        }
        if self._names:
            channel["parameters"] = {name: {} for name in self._names}
        if self.bindings:
            channel["bindings"] = self.bindings
        return channel


class Channels:
    """All channels by what they are of."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str], Channel] = {}
        self._ids: set[str] = set()

    def of_topic(self, topic: str) -> Channel:
        """Return the channel of a topic of events; `a.*` has a parameter."""
        if topic.endswith(".*"):
            channel = self._get("event", f"{topic[:-1]}{{segment}}", topic, ["segment"])
            channel.more["x-pattern"] = topic
            return channel
        # Braces would be parameters.
        names = re.findall(r"\{([^}]*)\}", topic)
        return self._get("event", topic, topic, [_plain(name) for name in names])

    def of_filter(self, topic: str) -> Channel:
        """Return the channel of an MQTT filter; `+` and `#` are parameters."""
        levels, names = topic.split("/"), []
        for position, level in enumerate(levels):
            if level in ("+", "#"):
                names.append("rest" if level == "#" else f"level{position + 1}")
                levels[position] = f"{{{names[-1]}}}"
        channel = self._get("mqtt", "/".join(levels), topic, names)
        channel.more["x-filter"] = topic
        channel.bindings["mqtt"] = {}
        return channel

    def at(self, address: str, name: str, *, names: Sequence[str]) -> Channel:
        """Return the channel of a path."""
        return self._get("path", address, name, names)

    def shown(self) -> dict[str, Any]:
        """Return all channels by their keys."""
        return {channel.id: channel.shown() for channel in sorted(self._channels.values(), key=_id)}

    def _get(self, kind: str, address: str, name: str, names: Sequence[str]) -> Channel:
        known = self._channels.get((kind, address))
        if known is None:
            known = Channel(self._new_id(_plain(name)), address, names)
            self._channels[kind, address] = known
        return known

    def _new_id(self, wanted: str) -> str:
        """Return a key that no other channel has: one that fits into a reference as it is."""
        name, number = wanted, 1
        while name in self._ids:
            number += 1
            name = f"{wanted}_{number}"
        self._ids.add(name)
        return name


def _id(channel: Channel) -> str:
    return channel.id


def _plain(name: str) -> str:
    """Return a name with letters, digits, `.`, `_` and `-` only."""
    named = name.replace("*", "any").replace("+", "any").replace("#", "rest")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", named).strip("_") or "channel"
