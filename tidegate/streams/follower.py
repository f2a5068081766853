"""One client of one group of a stream: the snapshot, then every change after it, once.

A follower keeps no frames of its own beyond one page of the log: it reads the feed's latest, which
all followers of a group share. Who falls out of these is slow, and gets a fresh snapshot.
"""

import sys
from collections import deque

import anyio

from tidegate.store.model import Frame, StreamSnapshot
from tidegate.store.port import StreamLog
from tidegate.streams import counts
from tidegate.streams.feed import Feed

PAGE = 64
_UNTIL_CAUGHT_UP = sys.maxsize

Told = StreamSnapshot | Frame


class Follower:
    """An async iterator that ends with the hub; raises `StoreAway` when the log cannot be read.

    Cancelling a `__anext__` loses nothing: the next one goes on at the same place.
    """

    def __init__(self, log: StreamLog, feed: Feed, *, after: int | None, patience_s: float) -> None:
        self._log = log
        self._feed = feed
        self._patience_s = patience_s
        self._restarts = feed.restarts
        self._page: deque[Frame] = deque()
        self._position = after
        # A number that the client has brought may be made up: the log has to confirm it.
        self._is_confirmed = after is None
        self._reads_log_until = 0 if after is None else _UNTIL_CAUGHT_UP
        self._caught_up_at_s = anyio.current_time()

    def __aiter__(self) -> "Follower":
        """Return itself."""
        return self

    async def __anext__(self) -> Told:
        """Wait for what is to be told next."""
        while not self._feed.is_over:
            if self._restarts != self._feed.restarts:
                self._reset("log_went_back")
            if self._position is None:
                return await self._snapshot()
            following = self._following(self._position)
            if following is not None:
                self._position = following.seq
                return following
            await self._look_further(self._position)
        raise StopAsyncIteration

    def _following(self, position: int) -> Frame | None:
        if self._page:
            return self._page.popleft()
        return self._feed.frame(position + 1)

    async def _look_further(self, position: int) -> None:
        """Read on in the log, wait for the next frame, or give up and take a snapshot."""
        head = self._feed.head
        if not self._is_confirmed or head is None or position < head:
            if self._may_read_log(position):
                await self._read_log(position)
            else:
                self._reset("slow")
            return
        self._reads_log_until = 0
        await self._feed.moved.wait()
        # Whoever waited had everything until now: a burst of many frames is no fault of his.
        self._caught_up_at_s = anyio.current_time()

    def _may_read_log(self, position: int) -> bool:
        if position < self._reads_log_until:
            return True
        if anyio.current_time() - self._caught_up_at_s >= self._patience_s:
            return False
        self._reads_log_until = self._feed.head or position + 1
        return True

    async def _read_log(self, position: int) -> None:
        place = (self._feed.name, self._feed.group)
        frames = await self._log.changes(*place, after=position, limit=PAGE)
        if frames is not None and not frames:
            [head] = await self._log.heads([place])
            if head <= position:
                self._end_of_log(position, head)
                return
            frames = await self._log.changes(*place, after=position, limit=PAGE)
        if frames and frames[0].seq == position + 1:
            self._page.extend(frames)
            self._is_confirmed = True
        else:
            self._reset("not_kept")

    def _end_of_log(self, position: int, head: int) -> None:
        if head < position:
            self._reset("unknown_number")
        else:
            self._is_confirmed = True
            self._feed.settle(head)

    async def _snapshot(self) -> StreamSnapshot:
        restarts = self._feed.restarts
        snapshot = await self._log.snapshot(self._feed.name, self._feed.group)
        self._feed.settle(snapshot.seq)
        self._position, self._is_confirmed, self._restarts = snapshot.seq, True, restarts
        self._reads_log_until = 0
        self._caught_up_at_s = anyio.current_time()
        return snapshot

    def _reset(self, why: str) -> None:
        counts.resets.labels(why).inc()
        self._position = None
        self._page.clear()
        self._restarts = self._feed.restarts
