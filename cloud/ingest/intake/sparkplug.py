"""Sparkplug nodes at the intake: their messages as payloads of a format, and what they ask for.

The intake's thread takes messages; the requests are fetched by another. What both touch, the
sessions, is locked for the time of a look-up or two, never while a payload is decoded.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import structlog

from cloud.ingest.batch import Batch, Heard, Origin
from cloud.ingest.messages import DUPLICATE, RETAINED
from cloud.settings import Sparkplug as Settings
from wire.codecs.formats import Format
from wire.codecs.sparkplug import Payload, decode
from wire.errors import Malformed
from wire.messages import Decoded, Status
from wire.sparkplug.births import Birth, bd_seq_of, read
from wire.sparkplug.session import Patience, Saved, Session, rebirth_request
from wire.sparkplug.topics import (
    NAMESPACE,
    Node,
    Topic,
    command_topic,
    key_of,
    parse,
    state_topic,
)
from wire.topics import Channel

_MS_PER_S = 1_000
# SQLite's integers are signed and have 64 bits.
_DIGEST_BYTES = 7
MAX_NODES = 10_000
_NOTHING = Decoded([])

_log = structlog.get_logger()


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Feed(NamedTuple):
    """A topic of a node, and the node's session."""

    topic: Topic
    session: Session

    @property
    def is_birth(self) -> bool:
        """Return whether the topic's messages name all metrics that somebody has."""
        return self.topic.kind in ("NBIRTH", "DBIRTH")

    @property
    def channel(self) -> Channel:
        """Return what the topic's messages hold: readings, or that somebody has left."""
        return "status" if self.topic.kind in ("NDEATH", "DDEATH") else "telemetry"


class Requests(NamedTuple):
    """(topic, payload) of what is to be published, and how many messages were given up for it."""

    messages: list[tuple[str, bytes]]
    lost: int


class Host:
    """The host application: follows the sessions of all nodes, asks for births that are missing.

    `session_of` returns what an earlier run has kept of a node's session.
    """

    def __init__(
        self,
        settings: Settings,
        session_of: Callable[[Node], Saved],
        *,
        steady_ms: Callable[[], int] = _steady_ms,
        max_nodes: int = MAX_NODES,
    ) -> None:
        self._session_of = session_of
        self._steady_ms = steady_ms
        self._patience = Patience(
            round(settings.reorder_timeout_s * _MS_PER_S),
            round(settings.rebirth_interval_s * _MS_PER_S),
        )
        self._max_nodes = max_nodes
        self._sessions: dict[Node, Session] = {}
        self._restless: set[Node] = set()
        self._lock = threading.Lock()
        self._state_topic = state_topic(settings.host_id).encode()

    def feed(self, topic: str) -> Feed | None:
        """Return what comes on a topic; None when it is not one of Sparkplug's.

        Raises:
            Malformed: it is, but of nobody who could be one of our devices, or of one too many.
            LedgerAway: the session cannot be read now; nothing was changed.
        """
        if not topic.startswith(f"{NAMESPACE}/"):
            return None
        parsed = parse(topic)
        session = self._sessions.get(parsed.node)
        if session is None:
            if len(self._sessions) >= self._max_nodes:
                raise Malformed(f"more than {self._max_nodes} nodes since the start: start anew")
            session = Session(self._session_of(parsed.node), self._patience)
            self._sessions[parsed.node] = session
        return Feed(parsed, session)

    def is_state(self, topic: bytes) -> bool:
        """Tell whether a topic is that of our own state, which is no message of a node."""
        return topic == self._state_topic

    def format_of(self, batch: Batch, feed: Feed, origin: Origin) -> Format:
        """Return the format of one message: decoding it moves its node's session on."""
        return Format("sparkplug", partial(self._decode, batch, feed, origin))

    def take_death(self, batch: Batch, feed: Feed, origin: Origin) -> None:
        """Note a death; one that cannot be read is a dead letter of no readings."""
        if _flags(origin) & RETAINED:
            return
        data = origin.chunk.messages.payloads[origin.place]
        try:
            payload = decode(data)
            with self._moving(batch, feed.session):
                gone = self._gone(feed, origin, payload, digest=_digest(data))
        except Malformed as exc:
            batch.bury(origin, str(exc), readings=0)
            return
        for device in gone:
            _tell(batch, feed, origin, device=device, status=Status("offline"))

    def requests(self, now_ms: int) -> Requests:
        """Return the births to be asked for now; `now_ms` is Unix time."""
        steady_ms, asked, lost = self._steady_ms(), list[Node](), 0
        with self._lock:
            for node in list(self._restless):
                session = self._sessions[node]
                before = session.lost
                if session.rebirth_due(steady_ms):
                    asked.append(node)
                lost += session.lost - before
                if not session.is_restless:
                    self._restless.discard(node)
        for node in asked:
            _log.info("rebirth.requested", node="/".join(node))
        messages = [(command_topic(node), rebirth_request(now_ms)) for node in asked]
        return Requests(messages, lost)

    def _decode(self, batch: Batch, feed: Feed, origin: Origin, data: bytes) -> Decoded:
        """Decode a birth or data; a replayed one and a retained one change no session."""
        payload = decode(data)
        birth = Birth.of(payload) if feed.is_birth else feed.session.birth_of(feed.topic.device)
        found = read(payload, birth)
        if origin.chunk.replay is not None:
            return found.decoded
        tally = batch.entry.tallies[feed.topic.key]
        metrics = len(found.decoded.readings) + len(found.decoded.refused) + found.left_out
        if _flags(origin) & RETAINED:
            tally.filtered += metrics
            return _NOTHING
        with self._moving(batch, feed.session):
            is_new = self._follow(batch, feed, origin, payload, digest=_digest(data))
            if is_new and not feed.is_birth and (found.has_unknown or not feed.session.is_born):
                feed.session.need_birth()
        if not is_new:
            tally.duplicate += metrics
            return _NOTHING
        tally.filtered += found.left_out
        return found.decoded

    def _follow(
        self, batch: Batch, feed: Feed, origin: Origin, payload: Payload, *, digest: int
    ) -> bool:
        """Move the session on by a birth or data; return False when it came before."""
        session, device = feed.session, feed.topic.device
        is_redelivery = bool(_flags(origin) & DUPLICATE)
        if feed.topic.kind == "NBIRTH":
            gone = session.take_node_birth(payload, digest, is_redelivery=is_redelivery)
            if gone is None:
                return False
            for one in gone:
                _tell(batch, feed, origin, device=one, status=Status("offline"))
        else:
            is_new = session.take_number(
                payload, digest, is_redelivery=is_redelivery, now_ms=self._steady_ms()
            )
            if not is_new:
                return False
            if device is not None and feed.is_birth:
                session.take_device_birth(device, payload)
        if feed.is_birth:
            _tell(batch, feed, origin, device=device, status=Status("online"))
        return True

    def _gone(
        self, feed: Feed, origin: Origin, payload: Payload, *, digest: int
    ) -> Sequence[str | None]:
        """Move the session on by a death; return who has left, None for the node."""
        session, device = feed.session, feed.topic.device
        if device is None:
            return session.take_node_death(bd_seq_of(payload))
        is_new = session.take_number(
            payload,
            digest,
            is_redelivery=bool(_flags(origin) & DUPLICATE),
            now_ms=self._steady_ms(),
        )
        if not is_new:
            return ()
        session.take_device_death(device)
        return (device,)

    @contextmanager
    def _moving(self, batch: Batch, session: Session) -> Iterator[None]:
        """Hold the lock, and note that the session has changed in this batch."""
        with self._lock:
            try:
                yield
            finally:
                batch.sessions[session.node] = session
                if session.is_restless:
                    self._restless.add(session.node)


def _tell(batch: Batch, feed: Feed, origin: Origin, *, device: str | None, status: Status) -> None:
    key = key_of(feed.topic.node, device)
    batch.statuses.append(Heard(key, status, origin.chunk.received_ms))


def _flags(origin: Origin) -> int:
    return origin.chunk.messages.flags[origin.place]


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=_DIGEST_BYTES).digest(), "big")
