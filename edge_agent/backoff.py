"""Growing, jittered delays between attempts. Pure."""

import random


class Backoff:
    """Exponential delays with full jitter above the shortest one.

    A fleet whose broker restarts comes back spread over the step instead of all at once.
    """

    def __init__(self, *, min_s: float, max_s: float, rng: random.Random) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._rng = rng
        self._step_s = 0.0
        self.reset()

    def next_s(self) -> float:
        """Return the next delay in seconds, from `min_s` up to the step, and double the step."""
        delay_s = self._rng.uniform(self._min_s, self._step_s)
        self._step_s = min(self._max_s, self._step_s * 2)
        return delay_s

    def reset(self) -> None:
        """Begin again with the shortest step."""
        self._step_s = min(self._max_s, self._min_s * 2)
