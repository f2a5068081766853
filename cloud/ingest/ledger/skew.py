"""How far a device's clock is from ours. Pure."""

from array import array

_SAMPLES = 9
_INTERVAL_MS = 10_000


class Skew:
    """The median of received - device time (ms) over the samples taken last.

    A sample is the newest reading of a live message; samples are at least 10 s apart, so that an
    outbox sent in a few seconds after an outage counts no more than one reading does. Positive:
    the device's clock is behind, or its readings travel that long. `ms` is None before the first.
    """

    __slots__ = ("_samples", "due_ms", "ms")

    def __init__(self, estimate_ms: int | None = None) -> None:
        self._samples = array("q", [] if estimate_ms is None else [estimate_ms])
        self.ms = estimate_ms
        self.due_ms = 0

    def sample(self, received_ms: int, ts_ms: int) -> None:
        """Take a sample; the caller asks `due_ms` first."""
        self.due_ms = received_ms + _INTERVAL_MS
        self._samples.append(received_ms - ts_ms)
        if len(self._samples) > _SAMPLES:
            del self._samples[0]
        self.ms = sorted(self._samples)[len(self._samples) // 2]
