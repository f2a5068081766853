"""The fleet's measurement: first contacts and the steady rate are told apart."""

from bench.ingest import waits
from bench.ingest.ours import Stored
from wire.ids import DeviceKey, MetricName, SeriesKey, device_id, tenant_id
from wire.points import PointBatch, StoredBatch


def _batch(*names: str) -> StoredBatch:
    devices = [DeviceKey(tenant_id("t"), device_id(name)) for name in names]
    points = PointBatch()
    for device in devices:
        points.append(SeriesKey(*device, MetricName("m")), 1, 1.0)
    return StoredBatch(points, dict.fromkeys(devices, 1))


def test_steady_points_are_those_after_the_last_first_contact() -> None:
    """A batch that brings a new device belongs to the first contacts, as all before it."""
    stored = Stored(100)

    for batch in (_batch("a"), _batch("a", "b"), _batch("a"), _batch("a", "b")):
        stored.count(batch)
    figures = stored.figures()

    assert figures["steady_points"] == 3
    assert figures["steady_s"] > 0


def test_fleet_figures_are_of_the_medians() -> None:
    """Growth is many devices over few; a device's memory is the difference."""
    series = {
        "wait_p50_ms": [1.0],
        "wait_p99_ms": [2.0],
        "first_contacts": [9.0, 10.0, 99.0],
        "fleet_100": [100.0, 200.0, 900.0],
        "fleet_100000": [90.0, 180.0, 190.0],
        "fleet_100_mib": [100.0],
        "fleet_100000_mib": [490.25],
    }

    found = waits.figures(series)

    assert found["first_contacts_per_s"] == 10
    assert (found["fleet_rate_growth"], found["fleet_rss_growth"]) == (0.9, 4.902)
    assert found["kib_per_device"] == 4.0
