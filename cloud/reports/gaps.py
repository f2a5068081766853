"""Where a series is silent: gaps are found from its own rhythm. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cloud.reports.period import Period

_MIN_INTERVALS = 2
_OF_MEDIAN, _OF_SLOWEST = 3.0, 2.0
_SLOWEST_QUANTILE = 0.95


class Gap(NamedTuple):
    """A silence, Unix ms."""

    from_ms: int
    to_ms: int


class Rhythm(NamedTuple):
    """How often points usually come, and from which distance on a silence is a gap (ms)."""

    interval_ms: float
    tolerance_ms: float


def rhythm_of(ts_ms: Sequence[int], *, step_ms: int = 0) -> Rhythm | None:
    """Return the rhythm of sorted times, or None when there are too few to tell.

    A gap is longer than 3 median intervals and than twice the 95 % quantile, so that jitter and
    irregular senders make none; for rows of `step_ms` it also spans more than 2 steps.
    """
    intervals = sorted(b - a for a, b in pairwise(ts_ms) if b > a)
    if len(intervals) < _MIN_INTERVALS:
        return None
    median = intervals[len(intervals) // 2]
    slowest = intervals[int(_SLOWEST_QUANTILE * (len(intervals) - 1))]
    tolerance = max(_OF_MEDIAN * median, _OF_SLOWEST * slowest, 2.0 * step_ms)
    return Rhythm(float(median), tolerance)


def find_gaps(ts_ms: Sequence[int], period: Period, *, step_ms: int = 0) -> list[Gap] | None:
    """Return the silences within the period, its edges included; None when nobody can tell."""
    rhythm = rhythm_of(ts_ms, step_ms=step_ms)
    if rhythm is None:
        return None
    edges = [period.from_ms - round(rhythm.interval_ms), *ts_ms, period.to_ms]
    return [
        Gap(max(period.from_ms, a + round(rhythm.interval_ms)), b)
        for a, b in pairwise(edges)
        if b - a > rhythm.tolerance_ms
    ]


def covered_share(gaps: Sequence[Gap], period: Period) -> float:
    """Return the share (0 to 1) of the period that lies outside of the gaps."""
    silent_ms = sum(gap.to_ms - gap.from_ms for gap in gaps)
    return max(0.0, 1.0 - silent_ms / (period.to_ms - period.from_ms))
