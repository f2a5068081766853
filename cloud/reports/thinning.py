"""Fewer points for a chart, so that every spike stays visible. Pure.

A chart has as many columns as it has pixels across; what matters of a column is its extremes.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple


class Envelope(NamedTuple):
    """Columns of equal length: at `ts_ms[i]` the values lay between `low[i]` and `high[i]`."""

    ts_ms: list[int]
    low: list[float]
    high: list[float]
    mean: list[float]


def column_of(ts_ms: int, *, from_ms: int, to_ms: int, columns: int) -> int:
    """Return the pixel column of a time."""
    return (ts_ms - from_ms) * columns // (to_ms - from_ms)


def extremes(
    ts_ms: Sequence[int], values: Sequence[float], *, from_ms: int, to_ms: int, columns: int
) -> list[tuple[int, float]]:
    """Keep the lowest and the highest point of each column, in order of time.

    The result is part of the input, at most two points a column; up to that many come back
    unchanged.
    """
    points = list(zip(ts_ms, values, strict=True))
    if len(points) <= 2 * columns:
        return points

    def column(point: tuple[int, float]) -> int:
        return column_of(point[0], from_ms=from_ms, to_ms=to_ms, columns=columns)

    kept: list[tuple[int, float]] = []
    for _, group in groupby(points, key=column):
        kept.extend(_extremes_of(list(group)))
    return kept


def envelope(rows: Envelope, *, from_ms: int, to_ms: int, columns: int) -> Envelope:
    """Join the rows of each column: lowest low, highest high, mean of the means."""
    if len(rows.ts_ms) <= columns:
        return rows

    def column(index: int) -> int:
        return column_of(rows.ts_ms[index], from_ms=from_ms, to_ms=to_ms, columns=columns)

    groups = [list(group) for _, group in groupby(range(len(rows.ts_ms)), key=column)]
    return Envelope(
        [rows.ts_ms[group[0]] for group in groups],
        [min(rows.low[i] for i in group) for group in groups],
        [max(rows.high[i] for i in group) for group in groups],
        [sum(rows.mean[i] for i in group) / len(group) for group in groups],
    )


def runs(ts_ms: Sequence[int], *, tolerance_ms: float | None) -> Iterator[slice]:
    """Yield the stretches between gaps; without a tolerance everything is one stretch."""
    start = 0
    for index in range(1, len(ts_ms)):
        if tolerance_ms is not None and ts_ms[index] - ts_ms[index - 1] > tolerance_ms:
            yield slice(start, index)
            start = index
    if ts_ms:
        yield slice(start, len(ts_ms))


def _extremes_of(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    lowest = min(range(len(points)), key=lambda i: points[i][1])
    highest = max(range(len(points)), key=lambda i: points[i][1])
    return [points[i] for i in sorted({lowest, highest})]
