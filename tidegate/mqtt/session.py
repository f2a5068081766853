"""One MQTT session: messages are taken as they come, and acknowledged when told to.

paho speaks MQTT; its socket is driven from here, so that nothing is read while there is no room:
then TCP holds the sender back, and memory stays bounded whatever the broker believes.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tidegate.errors import TidegateError
from tidegate.mqtt import counts
from tidegate.mqtt.access import Access

MAX_WAITING = 256
MAX_WAITING_BYTES = 16 * 1024 * 1024
MAX_PACKET_BYTES = 16 * 1024 * 1024
_KEEPALIVE_S = 30
_TIMEOUT_S = 10.0
_GOODBYE_S = 1.0
_TICK_S = 1.0
_READ_AT_ONCE = 64


def first_of(group: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first error that is no group itself."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


class SessionLost(TidegateError):
    """The broker is away, or refuses us; what is not acknowledged comes again."""


class Message(NamedTuple):
    """A message as it came; `mid` is what it is acknowledged by."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int


class Session:
    """A session with one subscription; with `keep_s` the broker keeps it while we are away."""

    def __init__(
        self, access: Access, *, client_id: str, subscription: str, qos: int = 1, keep_s: int = 0
    ) -> None:
        self._access = access
        self._subscription = subscription
        self._qos = qos
        self._keep_s = keep_s
        self._published: dict[int, anyio.Event] = {}
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._came, self._room, self._ready = anyio.Event(), anyio.Event(), anyio.Event()
        self._must_write = anyio.Event()
        self._refusal = ""
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.connect_timeout = _TIMEOUT_S / 2
        if access.username is not None:
            self._client.username_pw_set(access.username, access.revealed)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect

    @property
    def waiting(self) -> int:
        """How many messages were read and not taken yet."""
        return len(self._waiting)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Session"]:
        """Be connected and subscribed while the context is open.

        Raises:
            SessionLost: it could not be opened, or was lost.
        """
        try:
            await anyio.to_thread.run_sync(self._connect, abandon_on_cancel=True)
        except OSError as exc:
            raise SessionLost(f"the broker does not answer: {exc}") from exc
        try:
            async with anyio.create_task_group() as tasks:
                for part in (self._read, self._write, self._keep_alive):
                    tasks.start_soon(part)
                with anyio.move_on_after(_TIMEOUT_S) as patience:
                    await self._ready.wait()
                if patience.cancelled_caught:
                    raise SessionLost(f"no subscription within {_TIMEOUT_S:.0f} s")
                yield self
                tasks.cancel_scope.cancel()
        finally:
            await self._leave()

    async def take(self, limit: int) -> list[Message]:
        """Wait for messages, and return at most so many, oldest first."""
        while not self._waiting:
            self._came = anyio.Event()
            await self._came.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._waiting_bytes -= sum(len(message.payload) for message in taken)
        self._room.set()
        return taken

    def acknowledge(self, messages: list[Message]) -> None:
        """Let the broker forget messages: they are durable here."""
        for message in messages:
            if message.qos:
                self._client.ack(message.mid, message.qos)
        self._must_write.set()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1; return when the broker has it."""
        info = self._client.publish(topic, payload, qos=1)
        confirmed = self._published[info.mid] = anyio.Event()
        self._must_write.set()
        try:
            await confirmed.wait()
        finally:
            self._published.pop(info.mid, None)

    def _connect(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._keep_s
        properties.ReceiveMaximum = MAX_WAITING
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        self._client.connect(
            self._access.host,
            self._access.port,
            keepalive=_KEEPALIVE_S,
            clean_start=not self._keep_s,
            properties=properties,
        )

    async def _read(self) -> None:
        while True:
            await anyio.wait_readable(self._socket())
            for _ in range(_READ_AT_ONCE):
                before = len(self._waiting)
                self._check(self._client.loop_read())
                if len(self._waiting) == before or not self._has_room():
                    break
            self._must_write.set()
            while not self._has_room():
                self._room = anyio.Event()
                await self._room.wait()

    async def _write(self) -> None:
        while True:
            while self._client.want_write():
                await anyio.wait_writable(self._socket())
                self._check(self._client.loop_write())
            self._must_write = anyio.Event()
            await self._must_write.wait()

    async def _keep_alive(self) -> None:
        while True:
            await anyio.sleep(_TICK_S)
            self._check(self._client.loop_misc())
            self._must_write.set()

    def _has_room(self) -> bool:
        return len(self._waiting) < MAX_WAITING and self._waiting_bytes < MAX_WAITING_BYTES

    def _socket(self) -> Any:
        connection = self._client.socket()
        if connection is None:
            raise SessionLost(self._refusal or "the connection is lost")
        return connection

    def _check(self, code: MQTTErrorCode) -> None:
        if self._refusal or code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise SessionLost(self._refusal or "the connection is lost")

    async def _leave(self) -> None:
        """Say goodbye after what is still to be written; what is not acknowledged comes again."""
        with anyio.move_on_after(_GOODBYE_S, shield=True):
            self._client.disconnect()
            while (connection := self._client.socket()) is not None:
                if self._client.want_write():
                    await anyio.wait_writable(connection)
                    self._client.loop_write()
                else:
                    # Closing with unread bytes would reset the connection, and take our last
                    # acknowledgements with it.
                    await anyio.wait_readable(connection)
                    self._client.loop_read()
        if (connection := self._client.socket()) is not None:
            connection.close()

    def _on_connect(
        self, client: Client, _userdata: object, _flags: object, reason: ReasonCode, _props: object
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses us: {reason}"
            return
        client.subscribe(self._subscription, qos=self._qos)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _props: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = f"the broker refuses '{self._subscription}': check its ACL"
            return
        self._ready.set()

    def _on_message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            counts.undecodable.inc()
            client.ack(message.mid, message.qos)
            return
        came = Message(topic, bytes(message.payload), message.qos, message.retain, message.mid)
        self._waiting.append(came)
        self._waiting_bytes += len(came.payload)
        self._came.set()

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _props: object
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses what we publish: {reason}"
        elif mid in self._published:
            self._published[mid].set()

    def _on_disconnect(
        self, _client: Client, _userdata: object, _flags: object, reason: ReasonCode, _props: object
    ) -> None:
        if reason.is_failure:
            self._refusal = self._refusal or f"disconnected: {reason}"
