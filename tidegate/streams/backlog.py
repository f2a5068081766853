"""Frames that wait, up to a number and a size; when it is full the oldest go."""

from collections import deque

from tidegate.store.model import Frame

MAX_BYTES = 32 * 1024 * 1024
_OVERHEAD_BYTES = 256


class Backlog:
    """A bounded queue of frames; the newest is always kept, however large. Pure."""

    def __init__(self, size: int, max_bytes: int = MAX_BYTES) -> None:
        self._frames: deque[Frame] = deque()
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:
        return self._frames[index]

    def append(self, frame: Frame) -> int:
        """Add a frame; return how many old ones went for it."""
        self._frames.append(frame)
        self._bytes += _size_bytes(frame)
        dropped = 0
        while len(self._frames) > self._size or self._is_too_large():
            self.popleft()
            dropped += 1
        return dropped

    def popleft(self) -> Frame:
        """Take the oldest frame; raise `IndexError` when there is none."""
        frame = self._frames.popleft()
        self._bytes -= _size_bytes(frame)
        return frame

    def clear(self) -> None:
        """Drop them all."""
        self._frames.clear()
        self._bytes = 0

    def _is_too_large(self) -> bool:
        return self._bytes > self._max_bytes and len(self._frames) > 1


def _size_bytes(frame: Frame) -> int:
    return _OVERHEAD_BYTES + len(frame.change.data or b"")
