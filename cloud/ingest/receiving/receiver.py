"""The MQTT side: one persistent session, read by one thread, acknowledged when told to.

The thread owns the connection; others reach it through `acknowledge` and `publish`, which only
queue and wake it. When the inbox has no room the thread stops reading, and makes no connection:
a session begins with all that is not acknowledged yet. TCP and the broker hold the rest back.
"""

import random
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

import anyio
import anyio.to_thread
from paho.mqtt.enums import MQTTErrorCode

from cloud.ingest.inbox import Chunk, Inbox
from cloud.ingest.messages import Messages
from cloud.ingest.metrics import Metrics
from cloud.ingest.receiving.client import BrokerAccess, BulkClient
from cloud.ingest.receiving.driving import leave, watch
from cloud.ingest.receiving.filters import DROPPED_TOPIC, Filter
from cloud.ingest.receiving.greeting import Greeting
from cloud.ingest.receiving.host_state import HostState
from cloud.ingest.receiving.news import News
from cloud.ingest.receiving.reconnecting import Reconnecting
from cloud.ingest.receiving.standing import Standing
from cloud.ingest.wake import Wake

_TICK_S = 1.0
_RECEIVE_MAXIMUM = 65_535
_MAX_QUEUED_PUBLISHES = 100_000
_PUBLISHES_AT_ONCE = 500
# How often so many were given to the connection and are not sent: a broker that does not read gets
# no more of them.
_MAX_UNSENT = 20
_DROPPED = DROPPED_TOPIC.encode()


class Receiver:
    """Receives telemetry and status messages of all devices into the inbox.

    `tell` is called in the receiver's thread, and `aside` with all messages that arrived: what it
    takes out is none of the devices'. Both must not block.
    """

    def __init__(
        self,
        access: BrokerAccess,
        inbox: Inbox,
        *,
        filters: Sequence[Filter],
        metrics: Metrics,
        now_ms: Callable[[], int],
        max_unacknowledged: int,
        rng: random.Random,
        tell: Callable[[News], None],
        aside: Callable[[Messages], None] | None = None,
        host_state: HostState | None = None,
    ) -> None:
        self._access = access
        self._filters = filters
        self._host_state = host_state
        self._inbox = inbox
        self._metrics = metrics
        self._now_ms = now_ms
        self._receive_maximum = min(max_unacknowledged, _RECEIVE_MAXIMUM)
        self._tell, self._aside = tell, aside
        self._acks: deque[tuple[int, list[bytes]]] = deque()
        self._publishes: deque[tuple[str, bytes]] = deque(maxlen=_MAX_QUEUED_PUBLISHES)
        self._wake = Wake()
        self._stopping, self._is_done_taking = threading.Event(), threading.Event()
        self._reconnecting = Reconnecting(rng)
        self._generation = 0
        self._greeting = Greeting(filters)
        self._answer_by_s = 0.0
        self._standing = Standing(access.client_id, metrics)
        self.expects_session = False
        self.known_filters: Collection[str] = ()
        inbox.on_room = self._wake.set

    @property
    def subscribed(self) -> bool:
        """Return whether the broker delivers to us now."""
        return self._greeting.is_subscribed

    async def run(self) -> None:
        """Receive until cancelled; then send what is queued and disconnect."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._in_thread)
            try:
                await anyio.sleep_forever()
            finally:
                self._stopping.set()
                self._wake.set()

    def free(self) -> None:
        """Free what waking costs; for after the end, or when it has never run."""
        self._wake.close()

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
        surplus = len(self._publishes) + len(messages) - _MAX_QUEUED_PUBLISHES
        if surplus > 0:
            self._metrics.publishes_dropped.inc(surplus)
        self._publishes.extend(messages)
        self._wake.set()

    async def _in_thread(self) -> None:
        await anyio.to_thread.run_sync(self._loop, limiter=anyio.CapacityLimiter(1))

    def _loop(self) -> None:
        while not (self._stopping.is_set() or self._is_done_taking.is_set()):
            if not self._inbox.has_room():
                self._stopping.wait(_TICK_S)
                continue
            client = self._connected()
            lasted_s = 0.0
            if client is not None:
                self._serve(client)
                lasted_s = self._greeting.lasted_s(time.monotonic())
            wait_s = self._reconnecting.wait_s(
                lasted_s=lasted_s, was_taken_over=self._greeting.was_taken_over
            )
            self._greeting.end()
            self._standing.note_end(
                lasted_s=lasted_s, seems_contested=self._reconnecting.seems_contested
            )
            self._stopping.wait(0 if self._stopping.is_set() else wait_s)

    def _connected(self) -> BulkClient | None:
        self._generation += 1
        client = BulkClient(self._access)
        self._greeting = Greeting(
            self._filters,
            known=self.known_filters,
            expects_session=self.expects_session,
            on_news=self._note,
            host_state=self._host_state,
        )
        self._greeting.listen_to(client)
        try:
            client.open(receive_maximum=self._receive_maximum)
        except OSError as exc:
            self._note_down(str(exc))
            return None
        return client

    def _serve(self, client: BulkClient) -> None:
        """Drive one connection until it ends or we stop."""
        self._excuse_silence(client)
        with selectors.DefaultSelector() as selector:
            connection = client.socket()
            if connection is None:
                return
            selector.register(self._wake.fileno(), selectors.EVENT_READ)
            watched = 0
            while (client.socket()) is not None and not self._stopping.is_set():
                wanted = self._wanted(client)
                if wanted != watched:
                    watch(selector, connection, watched, wanted=wanted)
                    watched = wanted
                ready = sum(event for key, event in selector.select(_TICK_S) if key.data)
                self._wake.clear()
                self._flush(client)
                self._turn(client, ready)
                if not self.subscribed and time.monotonic() > self._answer_by_s:
                    self._note_down("the broker does not answer")
                    client.hang_up()
        self._leave(client)

    def _wanted(self, client: BulkClient) -> int:
        """Return the events to wait for; while there is no room, reading is not one of them."""
        has_more = self.subscribed and bool(self._publishes)
        wanted = selectors.EVENT_WRITE if client.want_write() or has_more else 0
        if self._inbox.has_room() or self._is_done_taking.is_set():
            return wanted | selectors.EVENT_READ
        self._excuse_silence(client)
        return wanted

    def _excuse_silence(self, client: BulkClient) -> None:
        """Begin anew to wait for what the broker says."""
        client.excuse_silence()
        self._answer_by_s = time.monotonic() + self._access.greeting_timeout_s

    def _turn(self, client: BulkClient, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            client.loop_write()
        if ready & selectors.EVENT_READ:
            client.loop_read()
            self._take(client)
        if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS or client.socket() is None:
            self._note_down(self._greeting.end_reason)

    def _take(self, client: BulkClient) -> None:
        messages = client.take_messages()
        if _DROPPED in messages.topics:
            for _, payload in messages.pop(_DROPPED.__eq__):
                if payload.isdigit():
                    self._tell(News("dropped", int(payload)))
        if self._aside is not None:
            self._aside(messages)
        if self._host_state is not None and self._host_state.is_denied(messages):
            self._host_state.say_online(client)
        if messages.payloads and not self._is_done_taking.is_set():
            self._inbox.put(Chunk(messages, self._now_ms(), self._generation))

    def _flush(self, client: BulkClient) -> None:
        """Send what others queued. Acknowledgements of earlier connections would hit strangers."""
        while self._acks:
            generation, mids = self._acks.popleft()
            if generation == self._generation:
                client.acknowledge(mids)
        while self._publishes and self.subscribed and client.unsent < _MAX_UNSENT:
            count = min(len(self._publishes), _PUBLISHES_AT_ONCE)
            client.publish_all([self._publishes.popleft() for _ in range(count)])

    def _leave(self, client: BulkClient) -> None:
        if client.socket() is not None:
            self._flush(client)
            if self._host_state is not None:
                self._host_state.say_offline(client)
            leave(client)
        client.hang_up()

    def _note(self, news: News) -> None:
        match news.what:
            case "session_lost":
                self._standing.note_session_lost()
            case "subscribed":
                self.expects_session = True
                self._standing.note_up(self._generation)
            case "settled":
                self.known_filters = [one.text for one in self._filters]
        self._tell(news)

    def _note_down(self, reason: str) -> None:
        self._greeting.end()
        if not self._stopping.is_set():
            self._standing.note_down(reason, self._greeting)
