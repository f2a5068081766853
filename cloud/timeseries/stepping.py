"""Aggregates over steps, for stores that do not have them or only almost. Pure."""

import math

from cloud.timeseries.port import Aggregate
from wire.messages import Value

Points = list[tuple[int, Value]]


def stepped(points: Points, step_ms: int, aggregate: Aggregate) -> Points:
    """Return one point for each step with numbers, at its start; `points` are in their order."""
    steps: dict[int, list[float]] = {}
    for ts_ms, value in points:
        if isinstance(value, float | int) and not isinstance(value, bool):
            steps.setdefault(ts_ms - ts_ms % step_ms, []).append(value)
    return [(start_ms, _aggregated(numbers, aggregate)) for start_ms, numbers in steps.items()]


def _aggregated(numbers: list[float], aggregate: Aggregate) -> float:
    match aggregate:
        case "mean":
            return _sum(numbers) / len(numbers)
        case "min":
            return min(numbers)
        case "max":
            return max(numbers)
        case "last":
            return numbers[-1]
        case "sum":
            return _sum(numbers)
        case "count":
            return float(len(numbers))


def _sum(numbers: list[float]) -> float:
    """Return the exact sum; one that fits no float is infinite, as in the stores that add up."""
    try:
        return math.fsum(numbers)
    except OverflowError:
        return sum(numbers)
