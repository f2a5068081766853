"""Gather what many callers ask at the same time, so that one statement serves them all."""

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
    """What one caller asks, and the event that ends his wait."""

    __slots__ = ("answer", "asked", "asked_at", "error", "given_up", "over")

    def __init__(self, asked: Asked, asked_at: float) -> None:
        self.asked = asked
        self.asked_at = asked_at
        self.given_up = False
        self.over = anyio.Event()
        self.answer: Answer | None = None
        self.error: Exception | None = None

    def end(self, answer: Answer) -> None:
        """Hand the answer over."""
        self.answer = answer
        self.over.set()

    def fail(self, error: Exception) -> None:
        """Hand an error over."""
        self.error = error
        self.over.set()


class Gathering(Generic[Asked, Answer]):
    """Operations that wait to be taken, oldest first; bounded."""

    def __init__(self) -> None:
        self.waiting: deque[Operation[Asked, Answer]] = deque()
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
        operation: Operation[Asked, Answer] = Operation(asked, anyio.current_time())
        self.waiting.append(operation)
        self._work.set()
        try:
            await operation.over.wait()
        finally:
            operation.given_up = True
        if operation.error is not None:
            raise operation.error
        return operation.answer  # type: ignore[return-value]  # set when there is no error

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
        limit = anyio.current_time() - _MAX_WAIT_S
        while self.waiting and (self.waiting[0].given_up or self.waiting[0].asked_at < limit):
            operation = self.waiting.popleft()
            if not operation.given_up:
                operation.fail(StoreAway("state store: overloaded"))

    def fail_all(self, error: Exception) -> None:
        """Tell everybody who waits that the database is away, so that nobody waits in turn."""
        while self.waiting:
            self.waiting.popleft().fail(error)

    def close(self) -> None:
        """Take nothing more in; what is waiting is still done."""
        self.closing = True
        self._work.set()
