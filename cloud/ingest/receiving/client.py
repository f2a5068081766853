"""paho's MQTT client with the hot path replaced: messages are read and acknowledged in bulk.

paho reads a packet in three system calls and hands messages over one by one; that, not the
store, was what limited ingestion. It keeps what is delicate: connecting, TLS, keep-alive,
subscriptions. `tests/unit/test_ingest_client.py` pins the private names that are used here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from cloud.ingest.messages import Messages
from cloud.ingest.receiving.filters import Filter
from cloud.ingest.receiving.frames import (
    BrokenFrame,
    Parsed,
    Trickle,
    parse,
    pubacks,
    publishes,
)
from tidegate.configuration import Secret
from wire.codecs.checks import MAX_PAYLOAD_BYTES

READ_BYTES = 256 * 1024
# Larger ones the broker drops. What is too large to be decoded, but not by far, still gets here,
# is dead-lettered and so has its reason told.
MAX_PACKET_BYTES = 4 * MAX_PAYLOAD_BYTES
_HEADER_BYTES = 5
_PROTOCOL = MQTTErrorCode.MQTT_ERR_PROTOCOL
_PUBACK = 0x40
_RETAINED_NEVER = 2


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Where the broker is and who we are there.

    `greeting_timeout_s` is how long it may take from the connection of TCP until the subscriptions
    stand, `session_expiry_s` how long the broker keeps what we missed (MQTT 5).
    """

    host: str
    port: int
    username: str | None = None
    password: Secret | None = None
    client_id: str = "tidegate-ingest"
    mqtt5: bool = True
    keepalive_s: int = 30
    connect_timeout_s: float = 5.0
    greeting_timeout_s: float = 15.0
    session_expiry_s: int = 7 * 24 * 3_600


class BulkClient(Client):
    """One connection. Driven by its owner's loop: never call paho's `loop_start` on it."""

    def __init__(self, access: BrokerAccess) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=access.client_id,
            clean_session=None if access.mqtt5 else False,
            protocol=MQTTv5 if access.mqtt5 else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.connect_timeout = access.connect_timeout_s
        if access.username is not None:
            password = access.password.reveal() if access.password else None
            self.username_pw_set(access.username, password)
        self._access = access
        self._unread = bytearray()
        self._needed = 0
        self._trickle = Trickle(2.0 * access.keepalive_s)
        self.messages = Messages()

    def open(self, *, receive_maximum: int) -> None:
        """Connect; at most `receive_maximum` messages shall be unacknowledged (MQTT 5)."""
        access = self._access
        if not access.mqtt5:
            self.connect(access.host, access.port, keepalive=access.keepalive_s)
            return
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = access.session_expiry_s
        properties.ReceiveMaximum = receive_maximum
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        self.connect(
            access.host,
            access.port,
            keepalive=access.keepalive_s,
            clean_start=False,
            properties=properties,
        )

    @property
    def unsent(self) -> int:
        """Return how many packets wait to be written."""
        return len(self._out_packet)

    def subscribe_to(self, filters: Sequence[Filter]) -> None:
        """Subscribe to all of them in one packet; the answers come in their order."""
        if not self._access.mqtt5:
            self.subscribe([(one.text, one.qos) for one in filters])
            return
        self.subscribe([(one.text, _options(one)) for one in filters])

    def hang_up(self) -> None:
        """Close the connection without a word, if it is still there."""
        self._sock_close()

    def take_messages(self) -> Messages:
        """Return the messages read since the last call."""
        taken, self.messages = self.messages, Messages()
        return taken

    def acknowledge(self, mids: list[bytes]) -> None:
        """Acknowledge messages, in the order given, in one go."""
        packets = pubacks(mids)
        if packets:
            self._packet_queue(_PUBACK, packets, 0, 1)

    def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish messages (topic, payload) at QoS 0, not retained, in one go."""
        if messages:
            # Whatever is queued as an acknowledgement is sent, and that is all that follows.
            packets = publishes(messages, mqtt5=self._access.mqtt5)
            self._packet_queue(_PUBACK, packets, 0, 1)

    def excuse_silence(self) -> None:
        """Call while not reading: the broker's silence then says nothing about it."""
        self._ping_t = 0.0
        self._last_bytes_received = time.monotonic()

    def _packet_read(self) -> MQTTErrorCode:
        """Replace paho's reading of one packet by reading all that is there."""
        try:
            data = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._last_bytes_received = time.monotonic()
        if self._unread:
            self._unread += data
            if len(self._unread) < self._needed:
                is_stuck = self._trickle.is_stuck(len(data), self._last_bytes_received)
                return _PROTOCOL if is_stuck else MQTTErrorCode.MQTT_ERR_SUCCESS
            data = bytes(self._unread)
        try:
            parsed = self._parse(data)
        except BrokenFrame:
            return _PROTOCOL
        self._trickle.end()
        self._unread = bytearray(data[parsed.used :])
        self._needed = parsed.needed
        return self._sort(parsed)

    def _parse(self, data: bytes) -> Parsed:
        parsed = parse(data, mqtt5=self._access.mqtt5)
        if parsed.needed > MAX_PACKET_BYTES + _HEADER_BYTES:
            # We have told the broker that we take no such packet (MQTT 5), and no broker of
            # ours sends one: these are no longer the bytes of MQTT. Never wait for the rest.
            raise BrokenFrame("a packet is larger than any that we take")
        return parsed

    def _sort(self, parsed: Parsed) -> MQTTErrorCode:
        self.messages.extend(parsed.messages)
        for head, body in parsed.others:
            rc = self._hand_to_paho(head, body)
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return rc
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _hand_to_paho(self, head: int, body: bytes) -> MQTTErrorCode:
        self._in_packet["command"] = head
        self._in_packet["remaining_length"] = len(body)
        self._in_packet["packet"] = bytearray(body)
        self._in_packet["pos"] = 0
        return self._packet_handle()


def _options(one: Filter) -> SubscribeOptions:
    if one.wants_retained:
        return SubscribeOptions(qos=one.qos)
    return SubscribeOptions(qos=one.qos, retainHandling=_RETAINED_NEVER)


def _properties(packet_type: int) -> Any:  # paho leaves their attributes untyped
    return Properties(packet_type)  # type: ignore[no-untyped-call]
