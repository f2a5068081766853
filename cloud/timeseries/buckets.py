"""Buckets of five minutes and of an hour, which all rollups are made of, and their times. Pure."""

from typing import NamedTuple

MINUTES_MS = 5 * 60_000
HOUR_MS = 60 * 60_000
DAY_MS = 24 * HOUR_MS


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


class Pace:
    """How long a stretch of time is taken on at once, so that it is done in about 0.1 s."""

    _TARGET_S = 0.1
    _LONGEST_MS = 64 * DAY_MS

    def __init__(self, least_ms: int = HOUR_MS) -> None:
        self._least_ms = least_ms
        self.span_ms = HOUR_MS

    def note(self, took_s: float) -> None:
        """Take in how long the last stretch took; the next is halved or doubled."""
        if took_s > self._TARGET_S:
            self.span_ms = max(floor_to(self._least_ms, self.span_ms // 2), self._least_ms)
        elif took_s < self._TARGET_S / 2:
            self.span_ms = min(self.span_ms * 2, self._LONGEST_MS)
