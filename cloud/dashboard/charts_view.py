"""Which charts a page shows and how finely their points are read. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from cloud.dashboard.fleet_view import is_number, weight
from cloud.timeseries.port import Latest
from wire.ids import SeriesKey
from wire.units import unit_of

MAX_POINTS = 1_000
DEFAULT_RANGE = "1h"
RANGES_MS = {
    "15m": 900_000,
    "1h": 3_600_000,
    "6h": 21_600_000,
    "24h": 86_400_000,
    "7d": 604_800_000,
}
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)
_MACHINE_PANELS = {
    "cpu_used_pct": "CPU",
    "memory_used_pct": "Memory",
    "disk_used_pct": "Disk",
    "network_received_bytes_per_s": "Network in",
}


class Chart(NamedTuple):
    """One chart: what it shows and which series it draws."""

    title: str
    unit: str
    series: SeriesKey


def step_ms(range_ms: int, max_points: int = MAX_POINTS) -> int:
    """Return the finest even step (ms) by which a range has at most `max_points` points."""
    steps = (step * 1_000 for step in _STEPS_S)
    return next((step for step in steps if range_ms / step <= max_points), _STEPS_S[-1] * 1_000)


def range_name(text: str | None) -> str:
    """Return the range that was asked for, the default when there is no such range."""
    return text if text in RANGES_MS else DEFAULT_RANGE


def metric_charts(latest: Sequence[Latest]) -> list[Chart]:
    """Return one chart for each numeric metric of a device, the most telling ones first."""
    numeric = [point.key for point in sorted(latest, key=weight) if is_number(point.value)]
    return [Chart(key.metric, unit_of(key.metric), key) for key in numeric]


def machine_charts(latest: Sequence[Latest]) -> list[Chart]:
    """Return the charts of "This machine": those of CPU, memory, disk, network that it sends."""
    known = {str(point.key.metric): point.key for point in latest if is_number(point.value)}
    return [
        Chart(title, unit_of(metric), known[metric])
        for metric, title in _MACHINE_PANELS.items()
        if metric in known
    ]
