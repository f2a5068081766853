"""How often somebody may come: a bucket of tokens for each key. Pure: the time is an argument."""

from collections import OrderedDict

MAX_KEYS = 20_000


class Rates:
    """At most `per_s` times a second for each key, `burst` of them at once.

    Keeps the `max_keys` keys that came last; who is forgotten for them begins with a full bucket.
    """

    def __init__(self, per_s: float, burst: int, *, max_keys: int = MAX_KEYS) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._max_keys = max_keys
        # Key → tokens left, and when that was (s).
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._buckets)

    def wait_s(self, key: str, now_s: float) -> float:
        """Take a token, and return 0; or take none, and return after how long there is one."""
        left, at_s = self._buckets.get(key, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - at_s) * self._per_s)
        may = left >= 1.0
        self._buckets[key] = (left - 1.0 if may else left, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return 0.0 if may else (1.0 - left) / self._per_s
