"""Values that many invocations change at once: who wants one queues for it instead of losing it.

Without it all of them run at the same time, one wins, and the others have run in vain. Whoever
loses a value that he has written opens a queue for it and runs again in its turn. While there is a
queue, whoever is known to change the value waits in it before he reads it; who only reads it does
not. An invocation holds at most one turn, and a transaction inside of an invocation takes none, so
no two wait for each other.
"""

from collections.abc import Iterable
from contextvars import ContextVar, Token

import anyio

Place = tuple[str, str]

_inside: ContextVar[bool] = ContextVar("inside_an_invocation", default=False)


def begin_anew() -> None:
    """Tell that this task is part of no invocation, whoever started it."""
    _inside.set(False)


class Contention:
    """The values that somebody queues for, in this process."""

    def __init__(self) -> None:
        self._queues: dict[Place, _Queue] = {}

    def contended(self, places: Iterable[Place]) -> Place | None:
        """Return the first of these places that somebody queues for."""
        if not self._queues:
            return None
        return next((place for place in places if place in self._queues), None)

    def is_changed_by(self, who: str, place: Place) -> bool:
        """Tell whether somebody queues for the place, and this step is known to change it."""
        queue = self._queues.get(place)
        return queue is not None and who in queue.changers

    async def enter(self, place: Place, who: str) -> None:
        """Wait for the turn, in order of arrival; the step is one that changes the place."""
        queue = self._queues.setdefault(place, _Queue())
        queue.changers.add(who)
        queue.size += 1
        try:
            await queue.lock.acquire()
        except BaseException:
            self._leave(place, queue)
            raise

    def leave(self, place: Place) -> None:
        """End the turn: the next one begins."""
        queue = self._queues[place]
        queue.lock.release()
        self._leave(place, queue)

    def _leave(self, place: Place, queue: "_Queue") -> None:
        queue.size -= 1
        if not queue.size:
            del self._queues[place]


class _Queue:
    def __init__(self) -> None:
        self.lock = anyio.Lock(fast_acquire=True)
        self.size = 0
        self.changers: set[str] = set()


class Turn:
    """The turn that one run of a step holds, if any."""

    def __init__(self, contention: Contention, who: str) -> None:
        self._contention = contention
        self._who = who
        self._token: Token[bool] | None = None
        self.may_queue = True
        self.place: Place | None = None

    def begin(self) -> None:
        """Begin the run; inside of another invocation it will queue for nothing."""
        self.may_queue = not _inside.get()
        self._token = _inside.set(True)

    async def take(self, place: Place) -> None:
        """Wait for a place; a run that holds a turn already waits for no other."""
        if self.place is None and self.may_queue:
            await self._contention.enter(place, self._who)
            self.place = place

    async def take_if_changed(self, place: Place) -> None:
        """Wait for a place that somebody queues for, if this step is known to change it."""
        if (
            self.place is None
            and self.may_queue
            and self._contention.is_changed_by(self._who, place)
        ):
            await self.take(place)

    def end(self) -> None:
        """Let the next one have it; the run is over."""
        if self._token is not None:
            _inside.reset(self._token)
        if self.place is not None:
            place, self.place = self.place, None
            self._contention.leave(place)
