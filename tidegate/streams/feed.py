"""One group of a stream as this process has seen it: its latest frames, in order, without a gap.

Frames come from the commits of this process and from others, late, early or twice. What comes
early waits until the hub has read what is missing from the log.
"""

from collections.abc import Callable, Sequence

import anyio

from tidegate.store.model import Frame
from tidegate.streams.backlog import Backlog

Hear = Callable[[Frame], None]


class Feed:
    """The frames up to `head`, the last number before the first that is missing.

    `head` is None until the first frame, or until a reader of the log has told it. `hear` is
    called for every frame in its turn.
    """

    def __init__(self, name: str, group: str, *, size: int, hear: Hear | None = None) -> None:
        self.name = name
        self.group = group
        self.head: int | None = None
        self.readers = 0
        self.restarts = 0
        self.is_over = False
        self.moved = anyio.Event()
        self._size = size
        self._latest = Backlog(size)
        self._early: dict[int, Frame] = {}
        self._hear = hear

    @property
    def early(self) -> Sequence[int]:
        """The numbers of the frames that came too early."""
        return tuple(self._early)

    def frame(self, seq: int) -> Frame | None:
        """Return a frame by its number, None when it is not among the latest."""
        first = self._latest[0].seq if self._latest else seq + 1
        return self._latest[seq - first] if 0 <= seq - first < len(self._latest) else None

    def take(self, frame: Frame) -> bool:
        """Take a frame; return whether none is missing before it. Twice is as once."""
        if self.head is None:
            self.head = frame.seq - 1
        if frame.seq > self.head + 1:
            # What finds no room here is read from the log with what is missing.
            if len(self._early) < self._size:
                self._early[frame.seq] = frame
            return False
        if frame.seq == self.head + 1:
            self._append(frame)
            self._take_early()
            self._tell()
        return True

    def end(self) -> None:
        """Let all who follow end."""
        self.is_over = True
        self._tell()

    def settle(self, seq: int) -> None:
        """Learn the number of the last change from the log, when nothing has come yet."""
        if self.head is None:
            self.head = seq

    def restart(self, seq: int) -> None:
        """Begin anew after a number: what lies before is not to be had any more."""
        self._latest.clear()
        went_back = self.head is not None and seq < self.head
        self.restarts += went_back
        self._early = {} if went_back else {n: f for n, f in self._early.items() if n > seq}
        self.head = seq
        self._take_early()
        self._tell()

    def forget(self, early: Sequence[int]) -> int:
        """Drop early frames that the log does not know; return how many were still there."""
        return sum(self._early.pop(seq, None) is not None for seq in early)

    def _append(self, frame: Frame) -> None:
        self.head = frame.seq
        self._latest.append(frame)
        if self._hear is not None:
            self._hear(frame)

    def _take_early(self) -> None:
        while self._early and self.head is not None:
            following = self._early.pop(self.head + 1, None)
            if following is None:
                break
            self._append(following)
        if self._early and self.head is not None:
            self._early = {seq: frame for seq, frame in self._early.items() if seq > self.head}

    def _tell(self) -> None:
        self.moved.set()
        self.moved = anyio.Event()
