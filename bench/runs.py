"""Runs in their order, with a line of progress for each, and what they found by name."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import NamedTuple

Series = dict[str, list[float]]
"""What was found: the runs' values under each name."""

_MINUTE_S = 60


class Run(NamedTuple):
    """One measurement: what it is, how long it takes about, what does it."""

    what: str
    estimate_s: float
    measure: Callable[[], Mapping[str, float]]


class Clock:
    """Says how much time is left, from the estimates and from how well they have held so far."""

    def __init__(self, estimates_s: Iterable[float]) -> None:
        self._left_s = sum(estimates_s)
        self._estimated_s = 0.0
        self._took_s = 0.0

    def done(self, *, estimate_s: float, took_s: float) -> None:
        """Note that a run has ended."""
        self._left_s -= estimate_s
        self._estimated_s += estimate_s
        self._took_s += took_s

    def left_s(self) -> float:
        """Return how many seconds the runs that are left will take."""
        pace = self._took_s / self._estimated_s if self._estimated_s else 1.0
        return max(0.0, self._left_s * pace)


def carry_out(runs: list[Run]) -> Series:
    """Do all runs, one after the other."""
    found: Series = {}
    clock = Clock(run.estimate_s for run in runs)
    for number, run in enumerate(runs, 1):
        began_s = time.monotonic()
        values = run.measure()
        took_s = time.monotonic() - began_s
        clock.done(estimate_s=run.estimate_s, took_s=took_s)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
        line = f"{number}/{len(runs)} {run.what}: {_told(values)}, {took_s:.0f} s"
        print(f"{line}; {minutes(clock.left_s())} left", file=sys.stderr, flush=True)
    return found


def ratio(series: Series, above: str, below: str) -> float:
    """Return the quotient of two medians, to three digits behind the point."""
    return round(median(series[above]) / median(series[below]), 3)


def minutes(seconds: float) -> str:
    """Return a time for people, as `2:05 min`."""
    whole = round(seconds)
    return f"{whole // _MINUTE_S}:{whole % _MINUTE_S:02} min"


def _told(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in values.items())
