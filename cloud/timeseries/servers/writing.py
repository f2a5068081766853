"""Bring lines to a server, whatever it answers, and find out which it will never take.

Resending a line does no harm, so whatever is in doubt is sent again: in halves when the server
refuses some, down to the line at fault, which costs about twice the logarithm of their number in
requests. Lines are sent in their order, one request at a time: of two values of a point the later
must win.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio
import structlog

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.answers import Answer, refused
from cloud.timeseries.servers.http import Cut
from cloud.timeseries.servers.outcomes import outcome_of, refuses_all

# InfluxDB 3 takes 10 MiB, 1.x 25 MB.
MOST_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 3
_PAUSE_S = 0.2

Post = Callable[[bytes], Awaitable[Answer]]
Refused = dict[int, str]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Target:
    """A server to write to: `post` sends lines, `create` makes the database if it can.

    `probe(ns)` is a line that no server can have anything against.
    """

    name: str
    database: str
    post: Post
    ping: Callable[[], Awaitable[object]]
    create: Callable[[], Awaitable[bool]]
    probe: Callable[[int], str]
    pause_s: float = _PAUSE_S


async def write_lines(target: Target, lines: Sequence[str], body: bytes | None = None) -> Refused:
    """Store lines; returns those that can never be, and why. All others are durable.

    `body` is all of them as they are sent, for who has it.

    Raises:
        StoreAway: some may be stored and some not: all have to be sent again.
    """
    return await _Errand(target, lines, body).run()


class _Errand:
    """One sequence of lines on its way."""

    def __init__(self, target: Target, lines: Sequence[str], body: bytes | None) -> None:
        self._target = target
        self._lines = lines
        self._body = body
        self._refused: Refused = {}
        self._is_probed = False
        self._has_created = False
        self._cuts_of_one = 0

    async def run(self) -> Refused:
        parts = [(0, len(self._lines))]
        while parts:
            first, stop = parts.pop()
            if first == stop:
                continue
            if not await self._send(first, stop):
                middle = (first + stop) // 2
                parts += [(middle, stop), (first, middle)]
        return self._refused

    async def _send(self, first: int, stop: int) -> bool:
        """Send some lines; False when halves of them must be."""
        body = self._body if stop - first == len(self._lines) else None
        if body is None:
            body = "\n".join(self._lines[first:stop]).encode()
        is_one = stop - first == 1
        if len(body) > MOST_BYTES and not is_one:
            return False
        try:
            answer = await self._post(body)
        except Cut:
            # A server that closes before it has read everything cannot say that it was too much.
            # One line has no halves, but is sent again: next time its answer may be heard.
            self._cuts_of_one += is_one
            if self._cuts_of_one == _ATTEMPTS:
                raise
            await self._target.ping()
            return False
        outcome = outcome_of(answer.status)
        match outcome:
            case "stored":
                return True
            case "too_large" if not is_one:
                return False
            case "refused" | "failed" | "too_large":
                return await self._judge(answer, first, stop)
        raise self._away(answer)

    async def _post(self, body: bytes) -> Answer:
        """Send it; over and over when the server fails, and once more when it has no database."""
        for attempt in range(1, _ATTEMPTS + 1):
            answer = await self._target.post(body)
            outcome = outcome_of(answer.status)
            if outcome == "missing" and not self._has_created:
                self._has_created = True
                if await self._target.create():
                    answer = await self._target.post(body)
                    outcome = outcome_of(answer.status)
            # Once other lines were taken, it is these that it fails on.
            if outcome != "failed" or self._is_probed or attempt == _ATTEMPTS:
                break
            await anyio.sleep(self._target.pause_s * attempt)
        return answer

    async def _judge(self, answer: Answer, first: int, stop: int) -> bool:
        """Note what was refused; False when it is still to be found out."""
        await self._probe(answer)
        reason = f"{self._target.name} refuses it ({answer.status}): {answer.text}"
        if stop - first > 1 and not refuses_all(answer.body, stop - first):
            return False
        for line in range(first, stop):
            self._refused[line] = reason
        return True

    async def _probe(self, answer: Answer) -> None:
        """See that a line beyond doubt is taken: else the lines are not what is at fault."""
        if self._is_probed:
            return
        line = self._target.probe(time.time_ns()).encode()
        try:
            probe = await self._target.post(line)
        except Cut:
            # With its answer it may have closed the connection: of a body that it did not want.
            probe = await self._target.post(line)
        if outcome_of(probe.status) != "stored":
            raise StoreAway(
                f"{self._target.name} takes nothing now ({answer.status}): {answer.text}",
                retry_after_s=probe.retry_after_s or 0.0,
            )
        self._is_probed = True

    def _away(self, answer: Answer) -> StoreAway:
        target = self._target
        match outcome_of(answer.status):
            case "denied":
                _log.error("timeseries.denied", store=target.name, status=answer.status)
                reason = refused(target.name, answer)
            case "missing":
                reason = (
                    f"{target.name} has no database or bucket '{target.database}': create it, or "
                    f"correct timeseries.url (organisation, path). It says: {answer.text}"
                )
            case "busy":
                reason = f"{target.name} is busy ({answer.status}): {answer.text}"
            case _:
                reason = f"{target.name} answers {answer.status}: {answer.text}"
        return StoreAway(reason, retry_after_s=answer.retry_after_s or 0.0)
