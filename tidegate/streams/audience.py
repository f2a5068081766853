"""Who in this process follows all groups of a stream, and the feeds that put frames in order."""

from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakSet

import structlog

from tidegate.errors import Misconfigured
from tidegate.store.model import Frame
from tidegate.streams import counts
from tidegate.streams.feed import Feed
from tidegate.streams.subscription import Subscription

_MAX_FEEDS = 4096
_MAX_SUBSCRIPTIONS = 1000

Call = Callable[[Frame], Awaitable[None]]

log = structlog.get_logger()


class Audience:
    """Subscriptions by the name of their stream; one that nobody refers to any more is over.

    Of at most 4,096 groups the numbers are known; of more, those heard of first are forgotten.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._subscriptions: dict[str, WeakSet[Subscription]] = {}
        self._feeds: dict[tuple[str, str], Feed] = {}

    def add(self, name: str) -> Subscription:
        """Subscribe; raise `Misconfigured` when the process has 1,000 subscriptions already."""
        self.forget_ended()
        if sum(map(len, self._subscriptions.values())) >= _MAX_SUBSCRIPTIONS:
            raise Misconfigured(
                f"there are {_MAX_SUBSCRIPTIONS} subscriptions of streams in this process; "
                "end those that are not needed any more"
            )
        subscription = Subscription(name)
        self._subscriptions.setdefault(name, WeakSet()).add(subscription)
        return subscription

    def feed(self, name: str, group: str) -> Feed | None:
        """Return the feed of a group, None when nobody follows the stream."""
        if not self._subscriptions or not self._subscriptions.get(name):
            return None
        place = (name, group)
        feed = self._feeds.get(place)
        if feed is None:
            if len(self._feeds) >= _MAX_FEEDS:
                del self._feeds[next(iter(self._feeds))]
            feed = self._feeds[place] = Feed(name, group, size=self._queue, hear=self._hear)
        return feed

    def feeds(self) -> Sequence[Feed]:
        """Return all feeds that somebody follows."""
        self.forget_ended()
        return list(self._feeds.values())

    def forget_ended(self) -> None:
        """Forget the streams that nobody follows any more."""
        for name, those in list(self._subscriptions.items()):
            if all(subscription.is_closed for subscription in those):
                del self._subscriptions[name]
        for place in [place for place in self._feeds if place[0] not in self._subscriptions]:
            del self._feeds[place]

    def _hear(self, frame: Frame) -> None:
        for subscription in list(self._subscriptions.get(frame.change.name, ())):
            subscription.put(frame)


async def call_each(subscription: Subscription, fn: Call) -> None:
    """Call a function for each frame. The one supervisor of its errors: it is foreign code."""
    async for frame in subscription:
        try:
            await fn(frame)
        except Exception:
            counts.callback_errors.inc()
            log.exception("stream.callback_failed", stream=subscription.name)
