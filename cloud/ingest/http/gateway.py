"""The way into the pipeline for what does not come over MQTT."""

from collections.abc import Callable

import anyio

from cloud.ingest.http.answers import Accepted
from cloud.ingest.http.repeats import OutcomeOf, Repeats, request_key
from cloud.ingest.inbox import Chunk, Inbox, Replay, Reply
from cloud.ingest.ledger.accounts import Outcome, RequestKey
from cloud.ingest.messages import Messages
from cloud.ingest.metrics import Metrics
from tidegate.errors import HTTPError
from wire.codecs.checks import MAX_PAYLOAD_BYTES
from wire.errors import Malformed
from wire.ids import DeviceKey
from wire.topics import topic

_TIMEOUT_S = 15.0
_TOO_LARGE, _UNAVAILABLE = 413, 503


class Gateway:
    """Takes single payloads through the same pipeline as MQTT, and waits until they are durable.

    It shares the inbox's bound: when that is full, and while `store_is_away` says so, the answer
    is 503 at once and nothing is kept. `outcome_of` returns what a request was answered (see
    `Ledger.outcome`).
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        outcome_of: OutcomeOf,
        store_is_away: Callable[[], bool],
        metrics: Metrics,
        now_ms: Callable[[], int],
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._inbox = inbox
        self._repeats = Repeats(outcome_of)
        self._store_is_away = store_is_away
        self._metrics = metrics
        self._now_ms = now_ms
        self.timeout_s = timeout_s

    @property
    def held(self) -> int:
        """Return how many messages, from everywhere, have no durable fate yet."""
        return self._inbox.held

    async def accept(
        self,
        device: DeviceKey,
        payload: bytes,
        *,
        received_ms: int | None = None,
        content_type: str | None = None,
        key: str | None = None,
    ) -> Accepted:
        """Take one telemetry payload of a device; return once its readings have their fate.

        `content_type` names its format; it may be packed. What a `key` stands for is taken once
        in a day: whoever repeats it gets the first answer.

        Raises:
            Malformed: the payload as a whole is unusable; it is a dead letter now.
            HTTPError: 413, the payload is too large; 503, nothing is known to be stored;
                sending it again is harmless. 400, 409, 422 as `repeats` says of the key.
            LedgerAway: it is not known whether the key was used.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise HTTPError(
                _TOO_LARGE, f"more than {MAX_PAYLOAD_BYTES} bytes: send fewer readings at a time"
            )
        at_ms = self._now_ms() if received_ms is None else received_ms
        messages = message_of(topic(device, "telemetry"), payload, content_type)
        if key is None:
            return await self.settled(self.put(messages, at_ms))
        request = request_key(device, key, kind=content_type, payload=payload)
        known = await self._repeats.begin(request, self._now_ms())
        if known is not None:
            self._metrics.repeats.inc()
            return _accepted(known)
        try:
            reply = self.put(messages, at_ms, request=request)
            self._repeats.follow(request, reply)
            return await self.settled(reply)
        finally:
            self._repeats.end(request)

    def put(
        self,
        messages: Messages,
        received_ms: int,
        *,
        request: RequestKey | None = None,
        replay: Replay | None = None,
    ) -> Reply:
        """Put messages into the pipeline; return what will say what became of them.

        Raises:
            HTTPError: 503, there is no room, or the store is away: nothing was kept.
        """
        if not self._inbox.has_room():
            self._metrics.refused_busy.inc()
            raise HTTPError(_UNAVAILABLE, "the queue of messages is full: try again later")
        if self._store_is_away():
            self._metrics.refused_busy.inc()
            raise HTTPError(
                _UNAVAILABLE, "the store does not answer, nothing was kept: try again later"
            )
        reply = Reply(anyio.Event(), request=request)
        self._inbox.put(Chunk(messages, received_ms, reply=reply, replay=replay))
        return reply

    async def settled(self, reply: Reply) -> Accepted:
        """Wait until what was put has its fate, and return it.

        Raises:
            Malformed: nothing of it could be decoded; it is a dead letter now.
            HTTPError: 503, it has none in time; it may be stored later.
        """
        with anyio.move_on_after(self.timeout_s):
            await reply.done.wait()
        if not reply.done.is_set():
            self._metrics.refused_busy.inc()
            raise HTTPError(
                _UNAVAILABLE, "the store does not answer: the message may be stored later"
            )
        return _accepted(reply.outcome())


def _accepted(outcome: Outcome) -> Accepted:
    if outcome.malformed is not None:
        raise Malformed(outcome.malformed)
    return Accepted(outcome.accepted, outcome.rejected)


def message_of(topic_name: str, payload: bytes, content_type: str | None) -> Messages:
    """Return one message; `content_type` names its payload's format."""
    content_types = {} if content_type is None else {0: content_type}
    return Messages([topic_name.encode()], [payload], [b""], [0], content_types)
