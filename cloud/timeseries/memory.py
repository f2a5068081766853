"""Telemetry in memory: for trials, and for tests of what uses a store. Gone at the end."""

import bisect

from cloud.timeseries.finite import check_finite
from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
)
from cloud.timeseries.stepping import Points, stepped
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

_HOUR_MS = 60 * 60_000
_DAY_MS = 24 * _HOUR_MS
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_Spot = tuple[int, int]


class _Stored:
    """One series: (time, order) of its points, sorted, and the value of each."""

    __slots__ = ("spots", "values")

    def __init__(self) -> None:
        self.spots: list[_Spot] = []
        self.values: dict[_Spot, Value] = {}

    def put(self, spot: _Spot, value: Value) -> None:
        if spot not in self.values:
            bisect.insort(self.spots, spot)
        self.values[spot] = value

    def between(self, first: tuple[int, ...], end: tuple[int, ...]) -> list[_Spot]:
        """Return the spots from `first` on and before `end`, each a time or a time and order."""
        spots = self.spots
        return spots[bisect.bisect_left(spots, first) : bisect.bisect_left(spots, end)]

    def drop_before(self, time_ms: int) -> None:
        old = bisect.bisect_left(self.spots, (time_ms,))
        for spot in self.spots[:old]:
            del self.values[spot]
        del self.spots[:old]

    def points(self, spots: list[_Spot]) -> Points:
        return [(spot[0], self.values[spot]) for spot in spots]


class Memory:
    """The memory adapter of `cloud.timeseries.port.TimeSeries`."""

    def __init__(self, retention_days: int | None = None) -> None:
        self._retention_days = retention_days
        self._series: dict[SeriesKey, _Stored] = {}

    async def write(self, batch: PointBatch) -> None:
        """Store a batch (see the port); all or nothing."""
        spots = list(zip(batch.ts_ms, batch.order, strict=True))
        for spot in spots:
            if not _INT64_MIN <= min(spot) <= max(spot) <= _INT64_MAX:
                raise PointsRejected("a time (in ms) or an order does not fit 64 bits")
        check_finite(batch.rows)
        for key, spot, value in zip(batch.series, spots, batch.values, strict=True):
            self._series.setdefault(key, _Stored()).put(spot, value)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        found: list[Series] = []
        left = limit
        for key in self._matching(query.tenant, query.device, query.metric):
            stored = self._series[key]
            points = stored.points(stored.between((query.from_ms,), (query.to_ms,)))
            if query.step_ms is not None:
                points = stepped(points, query.step_ms, query.aggregate)
            if left is not None:
                points = points[:left]
                left -= len(points)
            if points:
                found.append(Series(key, points))
        return found

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        found: list[Series] = []
        left = limit
        for key in self._matching(query.tenant, query.device, query.metric):
            first: tuple[int, ...] = (query.from_ms,)
            if start is not None and key <= start.key:
                if key < start.key:
                    continue
                first = max(first, start[1:])
            stored = self._series[key]
            spots = stored.between(first, (query.to_ms,))
            if spots[:left]:
                found.append(Series(key, stored.points(spots[:left])))
            if len(spots) > left:
                return Page(found, Place(key, *spots[left]))
            left -= len(spots)
        return Page(found, None)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series."""
        newest = []
        for key in self._matching(tenant, device, None):
            stored = self._series[key]
            spot = stored.spots[-1]
            newest.append(Latest(key, spot[0], stored.values[spot]))
        return newest

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device or a tenant (see the port)."""
        for key in self._matching(tenant, device, None):
            del self._series[key]

    async def tend(self, now_ms: int) -> None:
        """Drop what is too old. Memory has no rollups: nothing of it remains."""
        if self._retention_days is None:
            return
        cutoff_ms = (now_ms - self._retention_days * _DAY_MS) // _HOUR_MS * _HOUR_MS
        for key, stored in list(self._series.items()):
            stored.drop_before(cutoff_ms)
            if not stored.spots:
                del self._series[key]

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
