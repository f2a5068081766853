"""The bounded buffer between whoever receives messages and the pipeline.

The bounds count messages and their bytes from their receipt until their fate is durable. When
one is reached, the receiver stops reading (the broker keeps the rest) and the HTTP gateway
answers 503: nothing is dropped.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from cloud.ingest.ledger.accounts import Outcome, RequestKey
from cloud.ingest.messages import Messages
from cloud.ingest.wake import Wake
from wire.ids import DeviceKey
from wire.messages import Refusal

MAX_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Reply:
    """What became of a chunk that somebody waits for; `done` is set once it is durable.

    `malformed` says why nothing of it could be decoded. With `request` the outcome is kept for
    whoever repeats it.
    """

    done: anyio.Event
    accepted: int = 0
    rejected: list[Refusal] = field(default_factory=list)
    malformed: str | None = None
    request: RequestKey | None = None

    def outcome(self) -> Outcome:
        """Return what became of it; refusals in order of their indexes."""
        rejected = sorted(self.rejected, key=lambda refusal: refusal.index)
        return Outcome(self.accepted, rejected, self.malformed)


@dataclass(frozen=True, slots=True)
class Replay:
    """That a chunk is a dead letter come back: `readings` of `device`'s were counted dead.

    With `only`, just the readings of these indexes are taken. Sequences are not asked whether
    they were seen: they were, when the letter was written. Times may lie in the future of
    `now_ms`, not of the first receipt.
    """

    letter_id: int
    readings: int
    now_ms: int
    only: frozenset[int] | None
    device: DeviceKey | None = None


@dataclass(slots=True)
class Chunk:
    """Messages that arrived together at `received_ms`.

    `generation` names the MQTT connection on which they may be acknowledged, 0 for none.
    """

    messages: Messages
    received_ms: int
    generation: int = 0
    reply: Reply | None = None
    replay: Replay | None = None

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.messages.payloads)


class Inbox:
    """Chunks in order of arrival, from any thread to one task."""

    def __init__(self, max_messages: int, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._chunks: deque[Chunk] = deque()
        self._held = 0
        self._lock = threading.Lock()
        self._wake = Wake()
        self._closed = False
        self.on_room: Callable[[], None] | None = None

    @property
    def held(self) -> int:
        """Return how many messages were received and have no durable fate yet."""
        return self._held

    def has_room(self) -> bool:
        """Return whether more may be received now."""
        return self._held < self._max_messages and self._held_bytes < self._max_bytes

    def put(self, chunk: Chunk) -> None:
        """Add a chunk; whoever receives asks `has_room` first, so one chunk goes over at most."""
        size_bytes = chunk.messages.size_bytes()
        with self._lock:
            self._held += len(chunk)
            self._held_bytes += size_bytes
        self._chunks.append(chunk)
        self._wake.set()

    def release(self, messages: int, size_bytes: int) -> None:
        """Count messages out, and the bytes of their topics and payloads: their fate is durable."""
        was_full = not self.has_room()
        with self._lock:
            self._held -= messages
            self._held_bytes -= size_bytes
        if was_full and self.on_room is not None:
            self.on_room()

    def close(self) -> None:
        """End the intake: `take` returns what is there, then nothing."""
        self._closed = True
        self._wake.set()

    def free(self) -> None:
        """Free what waking costs; afterwards nothing can be taken."""
        self._wake.close()

    async def take(self, *, within_s: float | None) -> list[Chunk] | None:
        """Return all waiting chunks, [] when none came in time, None when closed and empty."""
        with anyio.move_on_after(within_s):
            while not self._chunks and not self._closed:
                await anyio.wait_readable(self._wake.readable)
                self._wake.clear()
        chunks = []
        while self._chunks:
            chunks.append(self._chunks.popleft())
        return None if self._closed and not chunks else chunks
