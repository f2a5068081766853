"""A part of this process that follows all groups of a stream, from now on."""

import anyio

from tidegate.store.model import Frame
from tidegate.streams import counts
from tidegate.streams.backlog import Backlog

SIZE = 1024


class Subscription:
    """An async iterator of frames, of each group in order; it ends when it is closed.

    At most 1,024 wait; then the oldest are let go, and counted.
    """

    def __init__(self, name: str, size: int = SIZE) -> None:
        self.name = name
        self.is_closed = False
        self._waiting = Backlog(size)
        self._came = anyio.Event()

    def put(self, frame: Frame) -> None:
        """Add a frame; never waits."""
        if not self.is_closed:
            counts.dropped.labels("subscription").inc(self._waiting.append(frame))
            self._came.set()

    def close(self) -> None:
        """End it at once; closing it again changes nothing."""
        self.is_closed = True
        self._waiting.clear()
        self._came.set()

    def __aiter__(self) -> "Subscription":
        """Return itself."""
        return self

    async def __anext__(self) -> Frame:
        """Wait for the next frame."""
        while not self._waiting:
            if self.is_closed:
                raise StopAsyncIteration
            self._came = anyio.Event()
            await self._came.wait()
        return self._waiting.popleft()
