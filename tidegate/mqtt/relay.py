"""Joins the hubs of processes: what one publishes is told to the others over a broker.

Nothing depends on it but time: what is lost here a hub finds in the log within a second. So frames
that find no room are dropped, the oldest first, and a broker that is away stops nobody.
"""

import secrets
from collections.abc import Sequence
from random import Random

import anyio
import structlog

from tidegate.mqtt import counts
from tidegate.mqtt.access import Access
from tidegate.mqtt.parcels import MAX_DATA_BYTES, MAX_FRAMES, decode, encode, topic
from tidegate.mqtt.session import Session, SessionLost, first_of
from tidegate.store.model import Frame
from tidegate.streams.backlog import Backlog
from tidegate.streams.hub import Hub
from wire.backoff import Backoff

_MAX_WAITING = 10_000
_AT_ONCE = 64
_PARCEL_BYTES = 256 * 1024
_BACKOFF_BASE_S, _BACKOFF_CAP_S = 0.2, 10.0

log = structlog.get_logger()


class Relay:
    """The link of one process to the others.

    `realm` names the database that they share: numbers of another one mean nothing here.
    """

    def __init__(self, hub: Hub, access: Access, *, realm: str, rng: Random) -> None:
        self._hub = hub
        self._access = access
        self._topic = topic(realm)
        self._sender = secrets.token_hex(8)
        self._waiting = Backlog(_MAX_WAITING)
        self._came = anyio.Event()
        self._parcel: tuple[bytes, int] | None = None
        self._backoff = Backoff(rng, base_s=_BACKOFF_BASE_S, cap_s=_BACKOFF_CAP_S)
        self._is_away = False
        self.is_connected = False
        hub.on_published(self.send)

    @property
    def waiting(self) -> int:
        """How many frames wait for the broker; at most 10,000, then the oldest are dropped."""
        return len(self._waiting)

    def send(self, frames: Sequence[Frame]) -> None:
        """Pass frames on when the broker is there; never waits."""
        for frame in frames:
            if len(frame.change.data or b"") > MAX_DATA_BYTES:
                counts.dropped.labels("too_large").inc()
            else:
                counts.dropped.labels("no_room").inc(self._waiting.append(frame))
        self._came.set()

    async def run(self) -> None:
        """Relay until cancelled, through every loss of the broker."""
        while True:
            try:
                async with self._session().opened() as session, anyio.create_task_group() as tasks:
                    self._note_back()
                    tasks.start_soon(self._receive, session)
                    await self._send_waiting(session)
            except* SessionLost as lost:
                self._note_away(str(first_of(lost)))
            finally:
                self.is_connected = False
            await anyio.sleep(self._backoff.next_s())

    def _session(self) -> Session:
        client_id = f"tidegate-streams-{self._sender}"
        return Session(self._access, client_id=client_id, subscription=self._topic)

    async def _receive(self, session: Session) -> None:
        while True:
            messages = await session.take(_AT_ONCE)
            for message in messages:
                self._unpack(message.payload)
            session.acknowledge(messages)

    def _unpack(self, payload: bytes) -> None:
        parcel = decode(payload)
        if parcel is None:
            counts.undecodable.inc()
        elif parcel.sender != self._sender:
            counts.relayed.labels("in").inc(len(parcel.frames))
            self._hub.receive(parcel.frames)

    async def _send_waiting(self, session: Session) -> None:
        while True:
            while self._parcel or self._waiting:
                # A parcel that the broker has not confirmed is sent again: twice is as once.
                payload, count = self._parcel = self._parcel or self._next_parcel()
                await session.publish(self._topic, payload)
                self._parcel = None
                counts.relayed.labels("out").inc(count)
            self._came = anyio.Event()
            await self._came.wait()

    def _next_parcel(self) -> tuple[bytes, int]:
        """Take the frames at the front that fit into one message."""
        size, frames = 0, list[Frame]()
        while self._waiting and len(frames) < MAX_FRAMES:
            size += len(self._waiting[0].change.data or b"")
            if frames and size > _PARCEL_BYTES:
                break
            frames.append(self._waiting.popleft())
        return encode(self._sender, frames), len(frames)

    def _note_away(self, reason: str) -> None:
        if not self._is_away:
            log.warning("relay.broker_lost", host=self._access.host, reason=reason)
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            log.info("relay.broker_returned", host=self._access.host)
        self._is_away = False
        self.is_connected = True
        self._backoff.reset()
