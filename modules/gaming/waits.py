"""How long a search is likely to take, from how long the last ones took. Pure."""

from statistics import median

import msgspec

MAX_SAMPLES = 50
ENOUGH_SAMPLES = 5


class Waits(msgspec.Struct, frozen=True, rename="camel"):
    """The last waits of a pool in seconds, oldest first; one that found nothing counts in full."""

    seconds: tuple[float, ...] = ()

    def with_waits(self, seconds: list[float]) -> "Waits":
        """Return these waits and some more, without the oldest beyond the bound."""
        return Waits((*self.seconds, *seconds)[-MAX_SAMPLES:])

    def estimate_s(self) -> float | None:
        """Return the median, or None while too few are known to say anything."""
        enough = len(self.seconds) >= ENOUGH_SAMPLES
        return round(median(self.seconds), 1) if enough else None
