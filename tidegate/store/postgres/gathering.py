"""Gather what many callers ask at the same time, so that one statement serves them all."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

import anyio

from tidegate.errors import StoreAway

MAX_WAITING = 10_000
# With the statement that then runs it is less than the 20 s that a caller waits at most.
_MAX_WAIT_S = 9.0

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Operation(Generic[Asked, Answer]):
    """What one caller asks, and the future that ends his wait.

    A future of asyncio: an event of anyio costs four times as much, at each call of each step.
    """

    __slots__ = ("_future", "asked", "asked_at")

    def __init__(self, asked: Asked, asked_at: float, future: asyncio.Future[Answer]) -> None:
        self.asked = asked
        self.asked_at = asked_at
        self._future = future

    @property
    def is_over(self) -> bool:
        """Tell whether it has its answer, or its caller was cancelled."""
        return self._future.done()

    def end(self, answer: Answer) -> None:
        """Hand the answer over, unless the caller has gone."""
        if not self._future.done():
            self._future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Hand an error over, unless the caller has gone or has an answer."""
        if not self._future.done():
            self._future.set_exception(error)


class Gathering(Generic[Asked, Answer]):
    """Operations that wait to be taken, oldest first; bounded."""

    def __init__(self) -> None:
        self.waiting: deque[Operation[Asked, Answer]] = deque()
        self._loop = asyncio.get_running_loop()
        self._work = anyio.Event()
        self.closing = False

    async def ask(self, asked: Asked) -> Answer:
        """Hand in and wait for the answer.

        Who is cancelled meanwhile does not know whether it was done.

        Raises:
            StoreAway: too many wait, or the store is closing.
        """
        if self.closing or len(self.waiting) >= MAX_WAITING:
            raise StoreAway("state store: closing" if self.closing else "state store: overloaded")
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.waiting.append(Operation(asked, self._loop.time(), future))
        if not self._work.is_set():
            self._work.set()
        return await future

    async def wait_for_work(self) -> None:
        """Return when something was handed in or given back, or the store is closing."""
        if self._work.is_set():
            self._work = anyio.Event()
        await self._work.wait()

    def look_again(self) -> None:
        """Wake who waits for work: what could not be taken before may be now."""
        self._work.set()

    def take_back(self, operations: Iterable[Operation[Asked, Answer]]) -> None:
        """Put operations to the front again, in their order."""
        self.waiting.extendleft(reversed(list(operations)))

    def drop_old(self) -> None:
        """Forget whose callers have gone, and refuse what has waited too long."""
        limit = self._loop.time() - _MAX_WAIT_S
        waiting = self.waiting
        while waiting and (waiting[0].is_over or waiting[0].asked_at < limit):
            waiting.popleft().fail(StoreAway("state store: overloaded"))

    def fail_all(self, error: Exception) -> None:
        """Tell everybody who waits that the database is away, so that nobody waits in turn."""
        while self.waiting:
            self.waiting.popleft().fail(error)

    def close(self) -> None:
        """Take nothing more in; what is waiting is still done."""
        self.closing = True
        self._work.set()
