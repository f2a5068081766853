"""What a session still has to send its client: waiting, and sent but not acknowledged. Pure.

amqtt itself forgets a QoS 1 message 5 s after it was sent, acknowledged or not, and at once when
the connection is lost. Here a message stays until its PUBACK and is sent again after a reconnect.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

_PACKET_IDS = 65_535


@dataclass(slots=True)
class Outgoing:
    """One message for one client; `packet_id` is given when it is first sent with QoS 1."""

    topic: str
    data: bytes
    qos: int
    retain: bool = False
    packet_id: int | None = None
    dup: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a session may hold; the figures of `mosquitto.conf`."""

    in_flight: int = 20_000
    messages: int = 200_000
    size_bytes: int = 128 * 1024 * 1024


class Outbox:
    """The messages of one session, in order.

    Bounded: a message that finds it full is dropped and counted, as Mosquitto does.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.dropped = 0
        self._bounds = bounds
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0
        self._in_flight: OrderedDict[int, Outgoing] = OrderedDict()
        self._again: deque[int] = deque()
        self._last_id = 0

    @property
    def waiting(self) -> int:
        """Messages that were never sent."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Messages that were sent and not acknowledged."""
        return len(self._in_flight)

    def put(self, message: Outgoing) -> bool:
        """Take a message; False when it is full and the message is lost."""
        full = len(self._waiting) >= self._bounds.messages
        if full or self._waiting_bytes + len(message.data) > self._bounds.size_bytes:
            self.dropped += 1
            return False
        self._waiting.append(message)
        self._waiting_bytes += len(message.data)
        return True

    def next(self) -> Outgoing | None:
        """Return what to send now, None when nothing waits or too much is in flight."""
        while self._again:
            message = self._in_flight.get(self._again.popleft())
            if message is not None:
                message.dup = True
                return message
        if not self._waiting:
            return None
        if self._waiting[0].qos and len(self._in_flight) >= self._bounds.in_flight:
            return None
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message.data)
        if message.qos:
            message.packet_id = self._free_id()
            self._in_flight[message.packet_id] = message
        return message

    def acknowledge(self, packet_id: int) -> bool:
        """Forget an acknowledged message; False when no such message is in flight."""
        return self._in_flight.pop(packet_id, None) is not None

    def resume(self) -> None:
        """Begin a new connection: what is in flight goes out again, first and in its order.

        Messages of QoS 0 that still wait belonged to the old connection and are dropped.
        """
        self._again = deque(self._in_flight)
        self._waiting = deque(message for message in self._waiting if message.qos)
        self._waiting_bytes = sum(len(message.data) for message in self._waiting)

    def _free_id(self) -> int:
        # Bounds keep fewer in flight than there are ids, so one is free.
        while True:
            self._last_id = self._last_id % _PACKET_IDS + 1
            if self._last_id not in self._in_flight:
                return self._last_id
