"""A clock that stands still until it is moved, and chance that always says the same."""

from datetime import UTC, datetime
from random import Random

from tidegate.errors import Misconfigured

START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Time as the steps of a test see it."""

    def __init__(self, start: datetime = START) -> None:
        """Begin at `start`; raise `Misconfigured` when it has no time zone."""
        if start.tzinfo is None:
            raise Misconfigured("now must have a time zone: datetime(..., tzinfo=UTC)")
        self._now_ms = round(start.timestamp() * 1000)

    def now_ms(self) -> int:
        """Return the time as Unix milliseconds."""
        return self._now_ms

    def now(self) -> datetime:
        """Return the time, aware UTC."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    def move_to(self, now_ms: int) -> None:
        """Move to a later time; an earlier one changes nothing."""
        self._now_ms = max(self._now_ms, now_ms)


class NoChance(Random):
    """Jitter without chance: every wait is as long as its policy allows."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - Random's signature
        """Return the upper bound."""
        return b
