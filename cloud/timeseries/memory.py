"""Telemetry in memory: for trials, and for tests of what uses a store. Gone at the end."""

import bisect
import math

from cloud.timeseries.port import Aggregate, Latest, PointsRejected, Series, SeriesQuery
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_Points = list[tuple[int, Value]]


class _Stored:
    """One series: times in order, and the value at each."""

    __slots__ = ("times_ms", "values")

    def __init__(self) -> None:
        self.times_ms: list[int] = []
        self.values: dict[int, Value] = {}

    def put(self, ts_ms: int, value: Value) -> None:
        if ts_ms not in self.values:
            bisect.insort(self.times_ms, ts_ms)
        self.values[ts_ms] = value

    def between(self, from_ms: int, to_ms: int) -> _Points:
        first = bisect.bisect_left(self.times_ms, from_ms)
        end = bisect.bisect_left(self.times_ms, to_ms)
        return [(ts_ms, self.values[ts_ms]) for ts_ms in self.times_ms[first:end]]


class Memory:
    """The memory adapter of `cloud.timeseries.port.TimeSeries`."""

    def __init__(self) -> None:
        self._series: dict[SeriesKey, _Stored] = {}

    async def write(self, batch: PointBatch) -> None:
        """Store a batch (see the port); all or nothing."""
        for ts_ms, value in zip(batch.ts_ms, batch.values, strict=True):
            if not _INT64_MIN <= ts_ms <= _INT64_MAX:
                raise PointsRejected("a time does not fit 64 bits of milliseconds")
            if isinstance(value, float) and not math.isfinite(value):
                raise PointsRejected("a number is not finite")
        for key, ts_ms, value in zip(batch.series, batch.ts_ms, batch.values, strict=True):
            self._series.setdefault(key, _Stored()).put(ts_ms, value)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        found: list[Series] = []
        left = limit
        for key in self._matching(query.tenant, query.device, query.metric):
            points = self._series[key].between(query.from_ms, query.to_ms)
            if query.step_ms is not None:
                points = _stepped(points, query.step_ms, query.aggregate)
            if left is not None:
                points = points[:left]
                left -= len(points)
            if points:
                found.append(Series(key, points))
        return found

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series."""
        newest = []
        for key in self._matching(tenant, device, None):
            stored = self._series[key]
            ts_ms = stored.times_ms[-1]
            newest.append(Latest(key, ts_ms, stored.values[ts_ms]))
        return newest

    async def ping(self) -> None:
        """Memory always answers."""

    def _matching(
        self, tenant: str | None, device: str | None, metric: str | None
    ) -> list[SeriesKey]:
        return sorted(
            key
            for key in self._series
            if (tenant is None or key.tenant == tenant)
            and (device is None or key.device == device)
            and (metric is None or key.metric == metric)
        )


def _stepped(points: _Points, step_ms: int, aggregate: Aggregate) -> _Points:
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
