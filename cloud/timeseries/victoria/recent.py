"""What a VictoriaMetrics took in its last seconds, to be sent again when it died meanwhile. Pure.

It answers before it has written to disk, and has no log: killed, or without power, it loses what it
took within about ten seconds before. Sending that again does no harm, when what was deleted
meanwhile is deleted again.
"""

from collections import deque
from typing import NamedTuple

KEEP_S = 30.0
MOST_BYTES = 64 * 1024 * 1024


class Deletion(NamedTuple):
    """Series that were deleted: those of a selector."""

    selector: str


Taken = bytes | Deletion


class Recent:
    """What was taken and not forgotten yet; beyond `most_bytes` the oldest goes.

    Only who knows that the server has not died meanwhile may `forget` what is older than `keep_s`.
    """

    def __init__(self, *, keep_s: float = KEEP_S, most_bytes: int = MOST_BYTES) -> None:
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._taken: deque[tuple[float, Taken]] = deque()
        self._size_bytes = 0
        self.cut_short = 0

    def add(self, taken: Taken, now_s: float) -> None:
        """Remember a body or a deletion; `now_s` is of a clock that never goes back."""
        self._taken.append((now_s, taken))
        self._size_bytes += _size_bytes(taken)
        while self._size_bytes > self._most_bytes and len(self._taken) > 1:
            self.cut_short += self._taken[0][0] >= now_s - self._keep_s
            self._drop()

    def forget(self, now_s: float) -> None:
        """Drop what the server that took it has had on its disk for long."""
        while self._taken and self._taken[0][0] < now_s - self._keep_s:
            self._drop()

    def renew(self, now_s: float) -> None:
        """Take note that all of it was sent again just now."""
        self._taken = deque((now_s, taken) for _, taken in self._taken)

    def taken(self) -> list[Taken]:
        """Return what may not be on the server's disk yet, in the order in which it was taken."""
        return [taken for _, taken in self._taken]

    def _drop(self) -> None:
        _, taken = self._taken.popleft()
        self._size_bytes -= _size_bytes(taken)


def _size_bytes(taken: Taken) -> int:
    return len(taken) if isinstance(taken, bytes) else len(taken.selector)
