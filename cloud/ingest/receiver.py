"""The MQTT side: one persistent session, read by one thread, acknowledged when told to.

The thread owns the connection; others reach it through `acknowledge` and `publish`, which only
queue and wake it. When the inbox has no room the thread stops reading; TCP holds the rest back.
"""

import os
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread
import structlog
from paho.mqtt.client import ConnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from cloud.ingest.client import READ_BYTES, BrokerAccess, BulkClient
from cloud.ingest.host_state import HostState
from cloud.ingest.inbox import Chunk, Inbox
from cloud.ingest.metrics import Metrics
from cloud.ingest.wake import Wake
from wire.backoff import Backoff
from wire.topics import all_devices

_QOS = 1
_TICK_S = 1.0
_LEAVE_S = 1.0
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 30.0
_RETAINED_NEVER = 2
_RECEIVE_MAXIMUM = 65_535
_MAX_QUEUED_PUBLISHES = 100_000

_log = structlog.get_logger()


class Receiver:
    """Receives telemetry and status messages of all devices into the inbox."""

    def __init__(
        self,
        access: BrokerAccess,
        inbox: Inbox,
        *,
        metrics: Metrics,
        now_ms: Callable[[], int],
        max_unacknowledged: int,
        rng: random.Random,
        own_filters: Sequence[str] = (),
        host_state: HostState | None = None,
    ) -> None:
        self._access = access
        self._own_filters = own_filters
        self._host_state = host_state
        self._inbox = inbox
        self._metrics = metrics
        self._now_ms = now_ms
        self._receive_maximum = min(max_unacknowledged, _RECEIVE_MAXIMUM)
        self._rng = rng
        self._acks: deque[tuple[int, list[bytes]]] = deque()
        self._publishes: deque[tuple[str, bytes]] = deque(maxlen=_MAX_QUEUED_PUBLISHES)
        self._wake = Wake()
        self._stopping, self._is_done_taking = threading.Event(), threading.Event()
        self._generation = 0
        self._down_since_s: float | None = None
        self._has_served = False
        self.expects_session = False
        self.subscribed = False
        inbox.on_room = self._wake.set

    async def run(self) -> None:
        """Receive until cancelled; then send what is queued and disconnect."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._in_thread)
            try:
                await anyio.sleep_forever()
            finally:
                self._stopping.set()
                self._wake.set()

    def stop_taking(self) -> None:
        """Take nothing more in; what was taken can still be acknowledged.

        Messages that still come are let go: never acknowledged, they come again in the next
        session. They are read all the same, because closing a connection with unread bytes
        resets it, and our last acknowledgements with it.
        """
        self._is_done_taking.set()
        self._wake.set()

    def acknowledge(self, generation: int, mids: list[bytes]) -> None:
        """Acknowledge messages in order of receipt; those of an earlier connection are skipped."""
        self._acks.append((generation, mids))
        self._wake.set()

    def publish(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish at QoS 0, not retained. More than 100,000 waiting: the oldest are dropped."""
        self._publishes.extend(messages)
        self._wake.set()

    async def _in_thread(self) -> None:
        await anyio.to_thread.run_sync(self._loop, limiter=anyio.CapacityLimiter(1))

    def _loop(self) -> None:
        backoff = Backoff(self._rng, base_s=_BACKOFF_BASE_S, cap_s=_BACKOFF_CAP_S)
        while not (self._stopping.is_set() or self._is_done_taking.is_set()):
            client = self._connected()
            if client is not None:
                self._serve(client)
                if self._has_served:
                    backoff.reset()
            self._stopping.wait(0 if self._stopping.is_set() else backoff.next_s())
        self._wake.close()

    def _connected(self) -> BulkClient | None:
        self.subscribed = self._has_served = False
        self._generation += 1
        client = BulkClient(self._access)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        if self._host_state is not None:
            self._host_state.leave_will(client)
        try:
            client.open(receive_maximum=self._receive_maximum)
        except OSError as exc:
            self._note_down(str(exc))
            return None
        return client

    def _serve(self, client: BulkClient) -> None:
        """Drive one connection until it ends or we stop."""
        with selectors.DefaultSelector() as selector:
            connection = client.socket()
            if connection is None:
                return
            selector.register(self._wake.fileno(), selectors.EVENT_READ)
            watched = 0
            while (client.socket()) is not None and not self._stopping.is_set():
                wanted = self._wanted(client)
                if wanted != watched:
                    _watch(selector, connection, watched, wanted=wanted)
                    watched = wanted
                ready = sum(event for key, event in selector.select(_TICK_S) if key.data)
                self._wake.clear()
                self._flush(client)
                self._turn(client, ready)
        self._leave(client)

    def _wanted(self, client: BulkClient) -> int:
        """Return the events to wait for; while there is no room, reading is not one of them."""
        wanted = selectors.EVENT_WRITE if client.want_write() else 0
        takes = self.subscribed and not self._is_done_taking.is_set()
        if self._inbox.has_room() or not takes:
            return wanted | selectors.EVENT_READ
        client.excuse_silence()
        return wanted

    def _turn(self, client: BulkClient, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            client.loop_write()
        if ready & selectors.EVENT_READ:
            client.loop_read()
            messages = client.take_messages()
            if self._host_state is not None and self._host_state.is_denied(messages):
                self._host_state.say_online(client)
            if messages.payloads and not self._is_done_taking.is_set():
                self._inbox.put(Chunk(messages, self._now_ms(), self._generation))
        if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS or client.socket() is None:
            self._note_down("connection lost")

    def _flush(self, client: BulkClient) -> None:
        """Send what others queued. Acknowledgements of earlier connections would hit strangers."""
        while self._acks:
            generation, mids = self._acks.popleft()
            if generation == self._generation:
                client.acknowledge(mids)
        while self._publishes and self.subscribed:
            topic, payload = self._publishes.popleft()
            client.publish(topic, payload, qos=0)

    def _leave(self, client: BulkClient) -> None:
        connection = client.socket()
        if connection is not None:
            self._flush(client)
            if self._host_state is not None:
                self._host_state.say_offline(client)
            # paho closes its own behind the last packet.
            with socket.socket(fileno=os.dup(connection.fileno())) as kept:
                client.disconnect()
                _write_out(client)
                _read_to_end(kept)

    def _on_connect(
        self,
        client: Any,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._note_down(f"the broker refuses us: {reason}")
            return
        if self.expects_session and not flags.session_present:
            self._metrics.session_lost.inc()
            _log.error("session.lost", client_id=self._access.client_id)
        client.subscribe(self._subscriptions())

    def _subscriptions(self) -> list[tuple[str, Any]]:
        readings, status = [all_devices("telemetry"), *self._own_filters], all_devices("status")
        if not self._access.mqtt5:
            return [(one, _QOS) for one in [*readings, status]]
        # A retained reading was stored when it came; a retained status is what we want to know.
        fresh = SubscribeOptions(qos=_QOS, retainHandling=_RETAINED_NEVER)
        return [(one, fresh) for one in readings] + [(status, SubscribeOptions(qos=_QOS))]

    def _on_subscribe(
        self,
        client: Any,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._note_down("the broker refuses our subscriptions: check its ACL")
            client.disconnect()
            return
        if self._generation > 1:
            self._metrics.reconnects.inc()
        if self._host_state is not None:
            self._host_state.say_online(client)
        self.subscribed = self._has_served = self.expects_session = True
        down_s = time.monotonic() - self._down_since_s if self._down_since_s else 0.0
        self._down_since_s = None
        _log.info("broker.connected", generation=self._generation, down_s=round(down_s, 3))

    def _note_down(self, reason: str) -> None:
        """Log once that the broker is away, until it is back."""
        self.subscribed = False
        if self._down_since_s is None and not self._stopping.is_set():
            self._down_since_s = time.monotonic()
            _log.warning("broker.lost", reason=reason)


def _write_out(client: BulkClient) -> None:
    """Write what is queued, for `_LEAVE_S` at most; the connection is closed behind it."""
    until_s = time.monotonic() + _LEAVE_S
    with selectors.DefaultSelector() as selector:
        connection = client.socket()
        if connection is not None:
            selector.register(connection, selectors.EVENT_WRITE)
        while client.socket() is not None and client.want_write():
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                return
            client.loop_write()


def _read_to_end(connection: socket.socket) -> None:
    """Let go what still comes, until the broker closes, for `_LEAVE_S` at most.

    Closing with unread bytes resets the connection: the broker would drop our last packets and
    publish the will.
    """
    until_s = time.monotonic() + _LEAVE_S
    with suppress(OSError), selectors.DefaultSelector() as selector:
        connection.setblocking(False)
        connection.shutdown(socket.SHUT_WR)
        selector.register(connection, selectors.EVENT_READ)
        while selector.select(until_s - time.monotonic()):
            if not connection.recv(READ_BYTES) or time.monotonic() >= until_s:
                return


def _watch(
    selector: selectors.BaseSelector,
    connection: Any,
    watched: int,
    *,
    wanted: int,
) -> None:
    if not watched:
        selector.register(connection, wanted, data="broker")
    elif not wanted:
        selector.unregister(connection)
    else:
        selector.modify(connection, wanted, data="broker")
