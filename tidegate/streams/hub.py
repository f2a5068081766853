"""The hub of a process: frames come in from its commits and from other processes, clients follow.

The log in the store is the truth. Frames that are published or relayed only save reading it: one
that is lost is noticed at the next number, or within a second by comparing numbers with the log.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import structlog

from tidegate.errors import StoreAway
from tidegate.store.model import Frame
from tidegate.store.port import StreamLog
from tidegate.streams import counts
from tidegate.streams.audience import Audience, Call, call_each
from tidegate.streams.feed import Feed
from tidegate.streams.follower import PAGE, Follower
from tidegate.streams.subscription import Subscription

QUEUE = 256
_PATIENCE_S = 1.0
_COMPARE_EVERY_S = 1.0
_GRACE_S = 0.02
_HEADS_AT_ONCE = 500

Observer = Callable[[Sequence[Frame]], None]
_Place = tuple[str, str]

log = structlog.get_logger()


class Hub:
    """Brings frames to clients and subscriptions.

    A client that is more than `queue` frames behind for longer than `patience_s` is given a fresh
    snapshot.
    """

    def __init__(
        self, stream_log: StreamLog, *, queue: int = QUEUE, patience_s: float = _PATIENCE_S
    ) -> None:
        self._log = stream_log
        self._queue = queue
        self._patience_s = patience_s
        self._joined: dict[_Place, Feed] = {}
        self._audience = Audience(queue)
        self._observers: list[Observer] = []
        self._gapped: dict[int, Feed] = {}
        self._gap = anyio.Event()
        self._calls: list[tuple[Subscription, Call]] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        self._is_log_away = False
        self._is_closed = False

    @property
    def followed(self) -> int:
        """How many groups have clients."""
        return len(self._joined)

    def publish(self, frames: Sequence[Frame]) -> None:
        """Take the frames of a commit of this process, right after it; never waits."""
        self.receive(frames)
        for observe in self._observers:
            observe(frames)

    def receive(self, frames: Sequence[Frame]) -> None:
        """Take frames that another process has committed, in any order; twice is as once."""
        for frame in frames:
            place = (frame.change.name, frame.change.group)
            for feed in (self._joined.get(place), self._audience.feed(*place)):
                if feed is not None and not feed.take(frame):
                    self._note_gap(feed)

    def on_published(self, observe: Observer) -> None:
        """Call `observe(frames)` for what this process publishes: other processes need it."""
        self._observers.append(observe)

    def subscribe(self, name: str) -> Subscription:
        """Follow every group of a stream from now on, until it is closed or dropped.

        The numbers of a group begin with the first frame that comes.

        Raises:
            Misconfigured: the process has 1,000 subscriptions: some are never ended.
        """
        return self._audience.add(name)

    def call(self, name: str, fn: Call) -> Subscription:
        """Call `fn(frame)` for every frame of a stream while the hub runs.

        One call after the other; its errors are logged and counted. Closing ends it.
        """
        subscription = self.subscribe(name)
        if self._tasks is None:
            self._calls.append((subscription, fn))
        else:
            self._tasks.start_soon(call_each, subscription, fn)
        return subscription

    @asynccontextmanager
    async def join(
        self, name: str, group: str, after: int | None = None
    ) -> AsyncIterator[Follower]:
        """Follow a group: its snapshot first, then the changes, without a gap or a repetition.

        With `after`, the number of the last frame that the client has, only the changes after
        it; a number that is unknown or too old gets a fresh snapshot.
        """
        place = (name, group)
        feed = self._joined.get(place)
        if feed is None:
            feed = self._joined[place] = Feed(name, group, size=self._queue)
            feed.is_over = self._is_closed
        feed.readers += 1
        counts.clients.inc()
        try:
            yield Follower(self._log, feed, after=after, patience_s=self._patience_s)
        finally:
            counts.clients.dec()
            feed.readers -= 1
            if self._joined.get(place) is feed and not feed.readers:
                del self._joined[place]

    def close(self) -> None:
        """Let all clients go, also those that come later: the server is about to end."""
        self._is_closed = True
        self.let_go()

    def let_go(self) -> None:
        """Let all clients go; they may come again with their numbers."""
        for feed in self._joined.values():
            feed.end()
        self._joined.clear()

    async def run(self) -> None:
        """Fill gaps and call subscribed functions until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for subscription, fn in self._calls:
                    tasks.start_soon(call_each, subscription, fn)
                self._calls.clear()
                tasks.start_soon(self._fill_gaps)
                while True:
                    await anyio.sleep(_COMPARE_EVERY_S)
                    await self._unless_away(self.compare)
            finally:
                self._tasks = None

    async def compare(self) -> None:
        """Compare what is followed with the log, and read what never came; raise `StoreAway`."""
        feeds = [*self._joined.values(), *self._audience.feeds()]
        known = [(feed, feed.head) for feed in feeds if feed.head is not None]
        for start in range(0, len(known), _HEADS_AT_ONCE):
            part = known[start : start + _HEADS_AT_ONCE]
            heads = await self._log.heads([(feed.name, feed.group) for feed, _ in part])
            for (feed, had), head in zip(part, heads, strict=True):
                if head < had:
                    feed.restart(head)
                elif head > (feed.head or 0) or feed.early:
                    await self._fill(feed)

    async def fill_gaps(self) -> None:
        """Read what is missing before frames that came early; raise `StoreAway`."""
        for key, feed in list(self._gapped.items()):
            if feed.early:
                await self._fill(feed)
            self._gapped.pop(key, None)

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap.wait()
            # The missing one is most often under way: its process has committed it already.
            await anyio.sleep(_GRACE_S)
            self._gap = anyio.Event()
            await self._unless_away(self.fill_gaps)

    async def _unless_away(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except StoreAway as exc:
            if not self._is_log_away:
                log.warning("streams.log_away", reason=str(exc))
            self._is_log_away = True
        else:
            if self._is_log_away:
                log.info("streams.log_returned")
            self._is_log_away = False

    async def _fill(self, feed: Feed) -> None:
        """Read on from the head of a feed to the end of the log."""
        early = feed.early
        counts.healed.inc()
        while feed.head is not None:
            frames = await self._log.changes(feed.name, feed.group, after=feed.head, limit=PAGE)
            if frames is None:
                snapshot = await self._log.snapshot(feed.name, feed.group)
                feed.restart(max(snapshot.seq, feed.head))
                break
            for frame in frames:
                feed.take(frame)
            if len(frames) < PAGE:
                break
        # A frame is published after its commit: what the log does not know was made up.
        counts.dropped.labels("unknown").inc(feed.forget(early))

    def _note_gap(self, feed: Feed) -> None:
        self._gapped[id(feed)] = feed
        self._gap.set()
