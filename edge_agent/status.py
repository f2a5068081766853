"""What the agent says about itself on its status topic, and where it listens. Pure."""

from collections.abc import Callable

from edge_agent.connection import Message
from wire.codecs.json import encode
from wire.ids import DeviceKey
from wire.messages import Status
from wire.topics import topic


class Presence:
    """Birth, last will and acknowledgement topic of one device."""

    def __init__(self, device: DeviceKey, *, agent: str, boot: Callable[[], str]) -> None:
        self._topic = topic(device, "status")
        self._agent = agent
        self._boot = boot
        self.ack_topic = topic(device, "ack")

    def birth(self) -> Message:
        """Return the retained online status."""
        status = Status("online", self._boot(), self._agent)
        return Message(self._topic, encode(status), retain=True)

    def will(self) -> Message:
        """Return the retained offline status: last will, and farewell of a clean stop."""
        status = Status("offline", self._boot(), self._agent)
        return Message(self._topic, encode(status), retain=True)
