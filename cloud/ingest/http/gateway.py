"""The way into the pipeline for what does not come over MQTT."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import anyio

from cloud.ingest.http.repeats import OutcomeOf, Repeats, request_key
from cloud.ingest.http.replaying import Accepted, Replayed, ReplayOutcome
from cloud.ingest.inbox import Chunk, Inbox, Replay, Reply
from cloud.ingest.ledger.accounts import Letter, LetterQuery, Outcome
from cloud.ingest.ledger.limits import MAX_LETTERS
from cloud.ingest.ledger.schema import LedgerAway
from cloud.ingest.messages import Messages
from cloud.ingest.metrics import Metrics
from tidegate.errors import HTTPError
from wire.codecs.json import MAX_PAYLOAD_BYTES
from wire.errors import Malformed
from wire.ids import DeviceKey
from wire.topics import topic

__all__ = ["Accepted", "Gateway"]

_TIMEOUT_S = 15.0
_MAX_DIGITS = 18
_REPLAYS_AT_ONCE = 32
_NOT_FOUND, _CONFLICT, _TOO_LARGE, _UNPROCESSABLE, _UNAVAILABLE = 404, 409, 413, 422, 503


class Letters(Protocol):
    """The dead letters (`cloud.ingest.ledger.ledger.Ledger`)."""

    async def letter(self, letter_id: int) -> Letter | None:
        """Return one dead letter, None when it is not there (any more)."""
        ...

    async def replayable(self, query: LetterQuery) -> list[int]:
        """Return the ids of letters that can be replayed, newest first."""
        ...


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
        letters: Letters,
        outcome_of: OutcomeOf,
        store_is_away: Callable[[], bool],
        metrics: Metrics,
        now_ms: Callable[[], int],
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._inbox = inbox
        self._letters = letters
        self._repeats = Repeats(outcome_of)
        self._store_is_away = store_is_away
        self._metrics = metrics
        self._now_ms = now_ms
        self._replaying: set[int] = set()
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
        chunk = Chunk(_message(topic(device, "telemetry"), payload, content_type), at_ms)
        if key is None:
            return await self._taken(chunk, Reply(anyio.Event()))
        request = request_key(device, key, kind=content_type, payload=payload)
        known = await self._repeats.begin(request, self._now_ms())
        if known is not None:
            self._metrics.repeats.inc()
            return _accepted(known)
        try:
            return await self._taken(chunk, Reply(anyio.Event(), request=request))
        finally:
            self._repeats.end(request)

    async def _taken(self, chunk: Chunk, reply: Reply) -> Accepted:
        chunk.reply = reply
        self._put(chunk)
        if reply.request is not None:
            self._repeats.follow(reply.request, reply)
        return await self._settled(reply)

    async def replay_letter(self, letter_id: str) -> Accepted:
        """Take a dead letter's readings once more; what is refused again is a new letter.

        Only one replay of a letter is under way at a time: its readings count once. The id is
        taken as a path names it: any text.

        Raises:
            HTTPError: 404, no such letter (any more); 409, it is being replayed now; 422, it
                cannot be, or was refused again; 503, as in `accept`.
            LedgerAway: the letters cannot be read now.
        """
        number = _number(letter_id)
        if number in self._replaying:
            raise HTTPError(_CONFLICT, "this letter is being replayed: wait for the outcome")
        self._replaying.add(number)
        with ExitStack() as claim:
            claim.callback(self._replaying.discard, number)
            letter = await self._replayable(number)
            messages = _message(letter.topic, letter.payload, letter.content_type)
            only = None if letter.only is None else frozenset(letter.only)
            replay = Replay(letter.id, letter.readings, self._now_ms(), only, letter.device)
            reply = Reply(anyio.Event())
            self._put(Chunk(messages, letter.received_at_ms, reply=reply, replay=replay))
            claim.pop_all()  # from here on the claim ends with the letter: `end_replay`
        try:
            return await self._settled(reply)
        except Malformed as exc:
            raise HTTPError(_UNPROCESSABLE, f"refused again: {exc}") from exc

    async def replay_letters(
        self,
        *,
        tenant: str | None = None,
        device: str | None = None,
        reason: str | None = None,
        limit: int,
        before: int | None = None,
    ) -> Replayed:
        """Take up to `limit` dead letters with ids below `before` once more, newest first.

        `reason`: only those whose reason contains that text. It stops when ingestion is busy or
        the store away; `next_cursor` leads on.

        Raises:
            HTTPError: 503, as in `accept`, when not even one could be taken.
            LedgerAway: the letters cannot be read now.
        """
        # All their ids, of which there are few enough, to say how many are left.
        query = LetterQuery(tenant, device, MAX_LETTERS, before or LetterQuery().before, reason)
        outcome = ReplayOutcome(await self._letters.replayable(query), limit)
        limiter = anyio.CapacityLimiter(_REPLAYS_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for number in outcome.chosen:
                await limiter.acquire_on_behalf_of(number)
                tasks.start_soon(self._replay_one, number, outcome, limiter)
        return outcome.summed_up()

    async def _replay_one(
        self, number: int, outcome: ReplayOutcome, limiter: anyio.CapacityLimiter
    ) -> None:
        try:
            if outcome.stop is not None:
                raise outcome.stop
            outcome.took(await self.replay_letter(str(number)))
        except HTTPError as exc:
            outcome.failed(number, exc)
        except LedgerAway as exc:
            outcome.failed(number, HTTPError(_UNAVAILABLE, str(exc)))
        finally:
            limiter.release_on_behalf_of(number)

    def end_replay(self, letter_id: int) -> None:
        """Note that a replay's outcome is durable, and with it the end of its letter."""
        self._replaying.discard(letter_id)

    async def _replayable(self, number: int) -> Letter:
        letter = await self._letters.letter(number)
        if letter is None:
            raise HTTPError(_NOT_FOUND, "no such dead letter")
        if not letter.readings:
            raise HTTPError(_UNPROCESSABLE, "this letter holds no reading: it cannot be replayed")
        if letter.is_shortened:
            raise HTTPError(
                _UNPROCESSABLE,
                "only the beginning of this letter is kept: let its sender repeat it",
            )
        return letter

    def _put(self, chunk: Chunk) -> None:
        if not self._inbox.has_room():
            self._metrics.refused_busy.inc()
            raise HTTPError(_UNAVAILABLE, "the queue of messages is full: try again later")
        if self._store_is_away():
            self._metrics.refused_busy.inc()
            raise HTTPError(
                _UNAVAILABLE, "the store does not answer, nothing was kept: try again later"
            )
        self._inbox.put(chunk)

    async def _settled(self, reply: Reply) -> Accepted:
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


def _message(topic_name: str, payload: bytes, content_type: str | None) -> Messages:
    content_types = {} if content_type is None else {0: content_type}
    return Messages([topic_name.encode()], [payload], [b""], [0], content_types)


def _number(letter_id: str) -> int:
    """Return the number that a text is; SQLite's have 64 bits."""
    if letter_id.isascii() and letter_id.isdigit() and len(letter_id) <= _MAX_DIGITS:
        return int(letter_id)
    raise HTTPError(_NOT_FOUND, "no such dead letter")
