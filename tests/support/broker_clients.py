"""MQTT clients for tests of brokers: acknowledgement by hand, every wait bounded."""

import queue
import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

WAIT_S = 5.0
QUIET_S = 0.4


class Client:
    """A paho client with MQTT 3.1.1 whose messages wait in `inbox`."""

    def __init__(
        self,
        port: int,
        username: str | None = None,
        password: str | None = None,
        *,
        client_id: str | None = None,
        clean: bool = True,
        manual_ack: bool = False,
        keepalive_s: int = 60,
        will: tuple[str, bytes] | None = None,
        protocol: Any = paho.MQTTv311,
        ca: str | None = None,
    ) -> None:
        self.inbox: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.subacks: queue.Queue[list[Any]] = queue.Queue()
        self.refused: str | None = None
        self.session_present = False
        self.gone = threading.Event()
        self._answered = threading.Event()
        self._port = port
        self._keepalive_s = keepalive_s
        clean_session = None if protocol == paho.MQTTv5 else clean
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=username or "" if client_id is None else client_id,
            clean_session=clean_session,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
        )
        self.paho.max_inflight_messages_set(1000)
        if username is not None:
            self.paho.username_pw_set(username, password)
        if ca is not None:
            self.paho.tls_set(ca_certs=ca)
        if will is not None:
            self.paho.will_set(will[0], will[1], qos=1)
        self.paho.on_message = lambda _client, _data, message: self.inbox.put(message)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = lambda *_: self.gone.set()
        self.paho.on_subscribe = lambda _c, _d, _mid, codes, _p: self.subacks.put(codes)

    def _on_connect(self, _client: object, _data: object, flags: Any, code: Any, _p: Any) -> None:
        self.session_present = bool(flags.session_present)
        self.refused = str(code) if code.is_failure else None
        self._answered.set()

    def connect(self) -> Self:
        """Connect and wait for the answer, or the hang-up; `refused` says which."""
        self.paho.connect("127.0.0.1", self._port, keepalive=self._keepalive_s)
        self.paho.loop_start()
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline and not self._answered.wait(0.01):
            if self.gone.is_set():
                break
        if not self._answered.is_set():
            self.refused = "hung up"
        return self

    def __enter__(self) -> Self:
        """Connect; the broker must accept."""
        self.connect()
        assert self.refused is None, self.refused
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say goodbye."""
        self.paho.disconnect()
        self.paho.loop_stop()

    def drop(self) -> None:
        """Lose the connection without a goodbye."""
        connection = self.paho.socket()
        if isinstance(connection, socket.socket):
            connection.shutdown(socket.SHUT_RDWR)
        self.paho.loop_stop()

    def subscribe(self, topic_filter: str, qos: int = 1) -> list[Any]:
        """Subscribe and return the granted codes."""
        self.paho.subscribe(topic_filter, qos)
        return self.subacks.get(timeout=WAIT_S)

    def publish(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Publish and wait for the broker's acknowledgement."""
        sent = self.paho.publish(topic, payload, qos=qos, retain=retain)
        sent.wait_for_publish(WAIT_S)
        assert sent.is_published()

    def received(self, count: int, *, timeout_s: float = WAIT_S) -> list[bytes]:
        """Return the payloads of the next `count` messages."""
        return [bytes(each.payload) for each in self.messages(count, timeout_s=timeout_s)]

    def messages(self, count: int, *, timeout_s: float = WAIT_S) -> list[paho.MQTTMessage]:
        """Return the next `count` messages; fail when they do not come."""
        deadline = time.monotonic() + timeout_s
        return [
            self.inbox.get(timeout=max(0.01, deadline - time.monotonic())) for _ in range(count)
        ]

    def is_quiet(self, quiet_s: float = QUIET_S) -> bool:
        """Tell whether no message comes for a while."""
        try:
            self.inbox.get(timeout=quiet_s)
        except queue.Empty:
            return True
        return False

    def payloads_until_quiet(self) -> list[bytes]:
        """Return the payloads that come until nothing comes for a while."""
        payloads = []
        while True:
            try:
                payloads.append(bytes(self.inbox.get(timeout=QUIET_S).payload))
            except queue.Empty:
                return payloads

    def ack(self, message: paho.MQTTMessage) -> None:
        """Acknowledge one message of a client with `manual_ack`."""
        self.paho.ack(message.mid, message.qos)
