"""How far the rollups and the retention of a file have come, and what times mean there. Pure."""

from typing import NamedTuple

MINUTES_MS = 5 * 60_000
HOUR_MS = 60 * 60_000
DAY_MS = 24 * HOUR_MS
INT64_MIN = -(2**63)
EARLIEST_MS = -(2**62) // HOUR_MS * HOUR_MS
"""Points before it are kept and read as they are, but belong to no bucket."""


class Progress(NamedTuple):
    """Times in Unix ms; see `schema/0002_rollups.sql`. Nothing done yet is `EARLIEST_MS`."""

    rolled_ms: int = EARLIEST_MS
    raw_from_ms: int = EARLIEST_MS

    @property
    def hours_ms(self) -> int:
        """Hours that end by then are rolled up."""
        return floor_to(HOUR_MS, self.rolled_ms)


class Stretch(NamedTuple):
    """The time from `from_ms` (inclusive) to `to_ms` (exclusive)."""

    from_ms: int
    to_ms: int


def floor_to(step_ms: int, time_ms: int) -> int:
    """Return the start of the step that a time lies in."""
    return time_ms // step_ms * step_ms


def ceil_to(step_ms: int, time_ms: int) -> int:
    """Return the first start of a step that is not before a time."""
    return -(-time_ms // step_ms) * step_ms


def level_of(step_ms: int) -> int | None:
    """Return the longest bucket (ms) that steps of that length are made of; None without one."""
    return next((level for level in (HOUR_MS, MINUTES_MS) if step_ms % level == 0), None)


def served(progress: Progress, asked: Stretch, level_ms: int) -> Stretch | None:
    """Return the part of what is asked that whole buckets of a level can answer; None if none."""
    first_ms = ceil_to(level_ms, max(asked.from_ms, EARLIEST_MS))
    end_ms = floor_to(level_ms, min(asked.to_ms, progress.rolled_ms))
    return Stretch(first_ms, end_ms) if first_ms < end_ms else None


class Pace:
    """How long a stretch of time one transaction takes on, so that it is done in about 0.1 s."""

    _TARGET_S = 0.1
    _LONGEST_MS = 64 * DAY_MS

    def __init__(self) -> None:
        self.span_ms = HOUR_MS

    def note(self, took_s: float) -> None:
        """Take in how long the last stretch took; the next is halved or doubled."""
        if took_s > self._TARGET_S:
            self.span_ms = max(self.span_ms // 2 // HOUR_MS * HOUR_MS, HOUR_MS)
        elif took_s < self._TARGET_S / 2:
            self.span_ms = min(self.span_ms * 2, self._LONGEST_MS)
