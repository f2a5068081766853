"""The way of stored batches to one service that watches the data: bounded, and never in the way.

Storing is never held up by who watches: a full tap drops its oldest batch and counts it, because
what is true now matters more to a watcher than what was true before. While the event store is
away a watcher waits with what it found (`until_taken`), and its tap fills up meanwhile.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import structlog

from tidegate.errors import Conflict, StoreAway
from wire.points import PointBatch, StoredBatch

# About a gigabyte of readings that have three values each.
MAX_POINTS = 4_000_000
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0

log = structlog.get_logger()


class Tap:
    """A queue of at most `max_batches` batches and `max_points` points, from ingest to one reader.

    One batch may be larger than that. `offer` and `take` belong to one event loop.
    """

    def __init__(self, name: str, *, max_batches: int, max_points: int = MAX_POINTS) -> None:
        self.dropped_batches = 0
        self.dropped_points = 0
        self._name = name
        self._max_batches, self._max_points = max_batches, max_points
        self._points = 0
        self._queue: deque[PointBatch] = deque()
        self._arrived = anyio.Event()

    @property
    def waiting_batches(self) -> int:
        """How many batches wait to be taken."""
        return len(self._queue)

    def offer(self, batch: StoredBatch) -> None:
        """Take a batch; never waits. One without points is nothing."""
        points = len(batch.points)
        if not points:
            return
        while self._queue and not self._has_room(points):
            self._drop_oldest()
        self._queue.append(batch.points)
        self._points += points
        self._arrived.set()

    async def take(self, max_points: int = 1) -> list[PointBatch]:
        """Wait for a batch and return it, with those behind it up to about `max_points` points.

        Cancelled while it waits it loses nothing.
        """
        while not self._queue:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        taken = [self._queue.popleft()]
        points = len(taken[0])
        while self._queue and points < max_points:
            taken.append(self._queue.popleft())
            points += len(taken[-1])
        self._points -= points
        return taken

    def _has_room(self, points: int) -> bool:
        is_few = len(self._queue) < self._max_batches
        return is_few and self._points + points <= self._max_points

    def _drop_oldest(self) -> None:
        if not self.dropped_batches:
            log.warning("tap.overflowed", tap=self._name, max_batches=self._max_batches)
        points = len(self._queue.popleft())
        self._points -= points
        self.dropped_batches += 1
        self.dropped_points += points


async def until_taken(send: Callable[[], Awaitable[None]], *, what: str) -> None:
    """Call `send` until the event store takes it; waits between the attempts grow to 5 s.

    Logs once when the store does not answer and once when it does again.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            await send()
        except (StoreAway, Conflict) as exc:
            if wait_s == _FIRST_WAIT_S:
                log.warning("event.waits", what=what, reason=str(exc))
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        else:
            if wait_s > _FIRST_WAIT_S:
                log.info("event.taken", what=what)
            return
