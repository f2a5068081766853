"""Values that many invocations change at once: who lost one runs again in a queue.

Without it all of them run at the same time, one wins, and the others have run in vain. An
invocation holds at most one place in a queue, so no two wait for each other.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio

Place = tuple[str, str]


class Contention:
    """The values that somebody queues for, in this process."""

    def __init__(self) -> None:
        self._queues: dict[Place, _Queue] = {}

    def contended(self, places: Iterable[Place]) -> Place | None:
        """Return the first of these places that somebody queues for."""
        if not self._queues:
            return None
        return next((place for place in places if place in self._queues), None)

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[None]:
        """Hold the place alone, in order of arrival."""
        queue = self._queues.setdefault(place, _Queue())
        queue.size += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.size -= 1
            if not queue.size:
                del self._queues[place]


class _Queue:
    def __init__(self) -> None:
        self.lock = anyio.Lock(fast_acquire=True)
        self.size = 0
