"""Points, and the queries and times that the suite's tests have in common."""

from cloud.timeseries.port import SeriesQuery
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

ALWAYS = SeriesQuery(-(2**62), 2**62)
DAY_MS = 24 * 60 * 60_000
NOW_MS = 20_000 * DAY_MS


def key(metric: str, device: str = "pump", tenant: str = "acme") -> SeriesKey:
    """Return a series' key."""
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


def batch_of(*points: tuple[SeriesKey, int, Value]) -> PointBatch:
    """Return points, all of order 0."""
    batch = PointBatch()
    for key, ts_ms, value in points:
        batch.append(key, ts_ms, value)
    return batch
