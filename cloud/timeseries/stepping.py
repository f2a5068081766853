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
            return math.fsum(numbers) / len(numbers)
        case "min":
            return min(numbers)
        case "max":
            return max(numbers)
        case "last":
            return numbers[-1]
        case "sum":
            return math.fsum(numbers)
        case "count":
            return float(len(numbers))
