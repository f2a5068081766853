"""What a device has measured and not yet delivered. Pure."""

from collections import deque
from itertools import islice

from wire.ids import MetricName
from wire.messages import Reading, Value


class Outbox:
    """Readings of one boot, numbered from 1 without a hole, kept until they are delivered.

    It holds `size` readings; when it is full the oldest is dropped and counted, and `first` of
    the next payload declares the hole.
    """

    def __init__(self, boot: str, *, size: int = 1000) -> None:
        self.boot = boot
        self.dropped = 0
        self._waiting: deque[Reading] = deque()
        self._size = size
        self._seq = 0

    def __len__(self) -> int:
        """Return how many readings wait."""
        return len(self._waiting)

    def add(self, values: dict[MetricName, Value], *, ts_ms: int) -> None:
        """Take what was measured and give it the next number."""
        if len(self._waiting) >= self._size:
            self._waiting.popleft()
            self.dropped += 1
        self._seq += 1
        self._waiting.append(Reading(values, ts_ms, self.boot, self._seq))

    def oldest(self, count: int) -> list[Reading]:
        """Return up to `count` waiting readings; they stay until `delivered`."""
        return list(islice(self._waiting, count))

    def delivered(self, up_to_seq: int) -> None:
        """Forget the readings up to and including this number."""
        while self._waiting and (self._waiting[0].seq or 0) <= up_to_seq:
            self._waiting.popleft()
