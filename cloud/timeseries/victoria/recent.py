"""What a VictoriaMetrics took in its last seconds, to be sent again when it died meanwhile. Pure.

It answers before it has written to disk, and has no log: killed, or without power, it loses what it
took within about ten seconds before. Sending that again does no harm.
"""

from collections import deque

KEEP_S = 30.0
MOST_BYTES = 64 * 1024 * 1024


class Recent:
    """The bodies taken within `keep_s` before the last; beyond `most_bytes` the oldest go."""

    def __init__(self, *, keep_s: float = KEEP_S, most_bytes: int = MOST_BYTES) -> None:
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._bodies: deque[tuple[float, bytes]] = deque()
        self._size_bytes = 0
        self.cut_short = 0

    def add(self, body: bytes, now_s: float) -> None:
        """Remember a body; `now_s` is of a clock that never goes back."""
        self._bodies.append((now_s, body))
        self._size_bytes += len(body)
        while self._bodies[0][0] < now_s - self._keep_s:
            self._drop()
        while self._size_bytes > self._most_bytes and len(self._bodies) > 1:
            self._drop()
            self.cut_short += 1

    def bodies(self) -> list[bytes]:
        """Return what may not be on the server's disk yet, in the order in which it was taken."""
        return [body for _, body in self._bodies]

    def _drop(self) -> None:
        _, body = self._bodies.popleft()
        self._size_bytes -= len(body)
