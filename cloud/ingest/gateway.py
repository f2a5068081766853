"""The way into the pipeline for what does not come over MQTT."""

from collections.abc import Callable

import anyio
import msgspec

from cloud.ingest.accounts import Letter
from cloud.ingest.frames import Messages
from cloud.ingest.inbox import Chunk, Inbox, Replay, Reply
from cloud.ingest.metrics import Metrics
from tidegate.errors import HTTPError
from wire.errors import Malformed
from wire.ids import DeviceKey
from wire.messages import Refusal
from wire.topics import topic

_TIMEOUT_S = 15.0
_UNAVAILABLE = 503


class Accepted(msgspec.Struct, frozen=True):
    """How many readings have their place in the store, and which were refused, and why."""

    accepted: int
    rejected: list[Refusal]


class Gateway:
    """Takes single payloads through the same pipeline as MQTT, and waits until they are durable.

    It shares the inbox's bound: when that is full, the answer is
    503 at once.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        metrics: Metrics,
        now_ms: Callable[[], int],
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._now_ms = now_ms
        self.timeout_s = timeout_s

    @property
    def held(self) -> int:
        """Return how many messages, from everywhere, have no durable fate yet."""
        return self._inbox.held

    async def accept(
        self, device: DeviceKey, payload: bytes, *, received_ms: int | None = None
    ) -> Accepted:
        """Take one telemetry payload of a device; return once its readings have their fate.

        Raises:
            Malformed: the payload as a whole is unusable; it is a dead letter now.
            HTTPError: 503, nothing is known to be stored; sending it again is harmless.
        """
        messages = Messages([topic(device, "telemetry").encode()], [payload], [b""], [0])
        at_ms = self._now_ms() if received_ms is None else received_ms
        return await self._pass(Chunk(messages, at_ms, reply=Reply(anyio.Event())))

    async def replay(self, letter: Letter) -> Accepted:
        """Take a dead letter's readings once more; what is refused again is a new letter.

        Raises:
            Malformed, HTTPError: as in `accept`.
        """
        messages = Messages([letter.topic.encode()], [letter.payload], [b""], [0])
        only = None if letter.only is None else frozenset(letter.only)
        replay = Replay(letter.id, letter.readings, self._now_ms(), only)
        reply = Reply(anyio.Event())
        return await self._pass(Chunk(messages, letter.received_at_ms, reply=reply, replay=replay))

    async def _pass(self, chunk: Chunk) -> Accepted:
        if not self._inbox.has_room():
            self._metrics.refused_busy.inc()
            raise HTTPError(_UNAVAILABLE, "the queue of messages is full: try again later")
        reply = chunk.reply
        if reply is None:
            raise ValueError("a chunk that nobody waits for")
        self._inbox.put(chunk)
        with anyio.move_on_after(self.timeout_s):
            await reply.done.wait()
        if not reply.done.is_set():
            self._metrics.refused_busy.inc()
            raise HTTPError(
                _UNAVAILABLE, "the store does not answer: the message may be stored later"
            )
        if reply.malformed is not None:
            raise Malformed(reply.malformed)
        return Accepted(reply.accepted, sorted(reply.rejected, key=lambda refusal: refusal.index))
