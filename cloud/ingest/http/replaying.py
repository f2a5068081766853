"""Dead letters on their way through ingestion again: one at a time, or many."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import anyio

from cloud.ingest.http.answers import Accepted, Replayed
from cloud.ingest.http.gateway import Gateway, message_of
from cloud.ingest.http.replay_outcome import ReplayOutcome
from cloud.ingest.inbox import Replay
from cloud.ingest.ledger.accounts import Letter, LetterQuery
from cloud.ingest.ledger.limits import MAX_LETTERS
from cloud.ingest.ledger.schema import LedgerAway
from tidegate.errors import HTTPError
from wire.errors import Malformed

_MAX_DIGITS = 18
_REPLAYS_AT_ONCE = 32
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE, _UNAVAILABLE = 404, 409, 422, 503


class Letters(Protocol):
    """The dead letters (`cloud.ingest.ledger.ledger.Ledger`)."""

    async def letter(self, letter_id: int) -> Letter | None:
        """Return one dead letter, None when it is not there (any more)."""
        ...

    async def replayable(self, query: LetterQuery) -> list[int]:
        """Return the ids of letters that can be replayed, newest first."""
        ...


class Replaying:
    """Takes dead letters through the gateway once more; knows which are under way.

    There are no more of those than messages in the inbox.
    """

    def __init__(self, gateway: Gateway, letters: Letters, *, now_ms: Callable[[], int]) -> None:
        self._gateway = gateway
        self._letters = letters
        self._now_ms = now_ms
        self._under_way: set[int] = set()

    async def replay_letter(self, letter_id: str) -> Accepted:
        """Take a dead letter's readings once more; what is refused again is a new letter.

        Only one replay of a letter is under way at a time: its readings count once. The id is
        taken as a path names it: any text.

        Raises:
            HTTPError: 404, no such letter (any more); 409, it is being replayed now; 422, it
                cannot be, or was refused again; 503, as in `Gateway.accept`.
            LedgerAway: the letters cannot be read now.
        """
        number = _number(letter_id)
        if number in self._under_way:
            raise HTTPError(_CONFLICT, "this letter is being replayed: wait for the outcome")
        self._under_way.add(number)
        with ExitStack() as claim:
            claim.callback(self._under_way.discard, number)
            letter = await self._replayable(number)
            messages = message_of(letter.topic, letter.payload, letter.content_type)
            only = None if letter.only is None else frozenset(letter.only)
            replay = Replay(letter.id, letter.readings, self._now_ms(), only, letter.device)
            reply = self._gateway.put(messages, letter.received_at_ms, replay=replay)
            claim.pop_all()  # from here on the claim ends with the letter: `end_replay`
        try:
            return await self._gateway.settled(reply)
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
            HTTPError: 503, as in `Gateway.accept`, when not even one could be taken.
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
        self._under_way.discard(letter_id)

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


def _number(letter_id: str) -> int:
    """Return the number that a text is; SQLite's have 64 bits."""
    if letter_id.isascii() and letter_id.isdigit() and len(letter_id) <= _MAX_DIGITS:
        return int(letter_id)
    raise HTTPError(_NOT_FOUND, "no such dead letter")
