"""How long to wait before trying again: exponential growth, full jitter, a cap. Pure.

Peers that lose the same server at the same moment come back spread over the wait, not together.
"""

from random import Random

_MOST_DOUBLINGS = 60


def ceiling_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """Return the longest wait after so many failures in a row, counted from 1."""
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    return min(cap_s, base_s * 2.0**doublings)


def delay_s(
    failures: int, rng: Random, *, base_s: float, cap_s: float, floor_s: float = 0.0
) -> float:
    """Return a wait between `floor_s` and the ceiling of so many failures in a row."""
    return rng.uniform(floor_s, max(floor_s, ceiling_s(failures, base_s=base_s, cap_s=cap_s)))


class Backoff:
    """Counts failures in a row for whoever would otherwise have to: one per thing that fails."""

    def __init__(self, rng: Random, *, base_s: float, cap_s: float, floor_s: float = 0.0) -> None:
        self._rng = rng
        self._base_s = base_s
        self._cap_s = cap_s
        self._floor_s = floor_s
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure; return how long to wait after it, in seconds."""
        self.failures += 1
        return delay_s(
            self.failures,
            self._rng,
            base_s=self._base_s,
            cap_s=self._cap_s,
            floor_s=self._floor_s,
        )

    def reset(self) -> None:
        """Begin again with short waits: it worked."""
        self.failures = 0
