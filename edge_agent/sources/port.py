"""What a source is."""

from typing import Protocol

from wire.messages import Value


class Source(Protocol):
    """Something that can be read at an interval.

    It is read by one thread only and should answer within its interval; while it does not,
    the other sources wait.
    """

    name: str
    interval_s: float

    def read(self, now_s: float) -> dict[str, Value]:
        """Return the values of this moment by metric name; `now_s` is monotonic seconds.

        Whatever it raises is logged once, counted, and tried again at the next interval.
        """
        ...
