"""One connection to the broker, from connecting to its end: the only file that knows paho-mqtt.

The connection is driven by its owner's thread alone: `step` waits, moves bytes, and returns what
happened as events. Nothing happens between two calls, so no lock is needed but for `wake`.
"""

import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import BrokerAway
from edge_agent.settings import Mqtt

Version = Literal["5", "3.1.1"]

_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
_FAILURE = 0x80
_NO_SUBSCRIBERS = 0x10
_UNSUPPORTED_VERSION = 0x84


class Accepted(NamedTuple):
    """The broker accepted us; its limits, where it stated them."""

    max_packet_bytes: int | None = None
    window: int | None = None


class Taken(NamedTuple):
    """PUBACK: the broker took a message; `unheard` when nobody subscribes to its topic."""

    mid: int
    unheard: bool = False


class Refused(NamedTuple):
    """PUBACK with a failure: the broker did not take a message, and why."""

    mid: int
    reason: str


class Received(NamedTuple):
    """A message on a topic that we subscribed to."""

    topic: str
    payload: bytes


class Closed(NamedTuple):
    """The end; `version` tells what the broker thinks of our version of MQTT."""

    reason: str
    version: Literal["fine", "refused", "maybe_unknown"] = "fine"


Event = Accepted | Taken | Refused | Received | Closed


class Message(msgspec.Struct, frozen=True):
    """Something to publish at QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Connection(Protocol):
    """What the publisher needs of a connection."""

    def open(self) -> None:
        """Connect and introduce ourselves; raise `BrokerAway`."""
        ...

    def step(self, timeout_s: float) -> list[Event]:
        """Wait at most so long for something to happen; return all that did, in order."""
        ...

    def wake(self) -> None:
        """End a waiting `step` early. The only method that other threads may call."""
        ...

    def publish(self, message: Message) -> int:
        """Send a message; return the id that its `Taken` or `Refused` will carry."""
        ...

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic at QoS 1."""
        ...

    def close(self) -> None:
        """Take leave of the broker, if it is still there, and free the socket."""
        ...


Connect = Callable[[Version, Message], Connection]
"""Make a connection that speaks a version of MQTT and leaves a last will."""


class PahoConnection:
    """`Connection` over paho-mqtt's interface for external event loops."""

    def __init__(self, settings: Mqtt, client_id: str, *, version: Version, will: Message) -> None:
        self._settings = settings
        self._events: list[Event] = []
        self._accepted = False
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._client = self._make_client(client_id, version)
        self._client.will_set(will.topic, will.payload, qos=1, retain=will.retain)

    def open(self) -> None:
        """Connect and introduce ourselves; raise `BrokerAway`."""
        mqtt = self._settings
        try:
            if mqtt.tls:
                self._client.tls_set_context(_tls_context(mqtt))
            self._client.connect(mqtt.host, mqtt.port, keepalive=mqtt.keepalive_s)
        except (OSError, ssl.CertificateError) as exc:
            raise BrokerAway(f"{mqtt.host}:{mqtt.port}: {exc}") from exc
        sock = self._client.socket()
        if sock is None:
            raise BrokerAway(f"{mqtt.host}:{mqtt.port}: closed while connecting")
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)

    def step(self, timeout_s: float) -> list[Event]:
        """Wait at most so long for something to happen; return all that did, in order."""
        sock = self._client.socket()
        if sock is not None and not self._events:
            self._wait(sock, timeout_s)
        if self._client.socket() is not None:
            self._client.loop_misc()
        elif not any(isinstance(event, Closed) for event in self._events):
            self._events.append(Closed("connection lost"))
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """End a waiting `step` early. The only method that other threads may call."""
        try:
            self._wake_out.send(b"\0")
        except OSError:
            # Full: it wakes already. Closed: there is nothing left to wake.
            return

    def publish(self, message: Message) -> int:
        """Send a message; return the id that its `Taken` or `Refused` will carry."""
        return self._client.publish(
            message.topic, message.payload, qos=1, retain=message.retain
        ).mid

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic at QoS 1."""
        self._client.subscribe(topic, qos=1)

    def close(self) -> None:
        """Take leave of the broker, if it is still there, and free the socket."""
        self._client.disconnect()
        sock = self._client.socket()
        if sock is not None:
            # The farewell did not leave at once; the broker will publish the last will.
            sock.close()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _wait(self, sock: object, timeout_s: float) -> None:
        writing = selectors.EVENT_WRITE if self._client.want_write() else 0
        self._selector.modify(sock, selectors.EVENT_READ | writing)  # type: ignore[arg-type]
        # TLS may have decrypted more than was read: the socket itself stays silent then.
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        for key, mask in self._selector.select(0 if pending else timeout_s):
            if key.fileobj is self._wake_in:
                self._wake_in.recv(4_096)
            elif mask & selectors.EVENT_WRITE:
                self._client.loop_write()
            if key.fileobj is sock and mask & selectors.EVENT_READ:
                self._client.loop_read()
        if pending:
            self._client.loop_read()

    def _make_client(self, client_id: str, version: Version) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_PROTOCOLS[version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._settings.connect_timeout_s
        client.max_inflight_messages_set(self._settings.window_messages + 2)
        if self._settings.password is not None:
            client.username_pw_set(client_id, self._settings.password.reveal())
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, _c: Client, _u: object, _f: ConnectFlags, code: ReasonCode, props: Properties | None
    ) -> None:
        if code.value >= _FAILURE:
            is_version = code.value == _UNSUPPORTED_VERSION
            self._events.append(Closed(f"refused: {code}", "refused" if is_version else "fine"))
            return
        self._accepted = True
        self._events.append(
            Accepted(
                getattr(props, "MaximumPacketSize", None), getattr(props, "ReceiveMaximum", None)
            )
        )

    def _on_publish(
        self, _c: Client, _u: object, mid: int, code: ReasonCode, _p: Properties
    ) -> None:
        failed = code.value >= _FAILURE
        event = Refused(mid, str(code)) if failed else Taken(mid, code.value == _NO_SUBSCRIBERS)
        self._events.append(event)

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self._events.append(Received(message.topic, bytes(message.payload)))

    def _on_disconnect(
        self, _c: Client, _u: object, _f: DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        # A broker that hangs up before its CONNACK may not understand version 5 at all.
        is_mute = not self._accepted and not self._events
        self._events.append(Closed(str(code), "maybe_unknown" if is_mute else "fine"))


def _tls_context(mqtt: Mqtt) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(mqtt.ca_file) if mqtt.ca_file else None)
    if mqtt.cert_file is not None:
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file)
    return context
