"""Turns devices, their latest values and their recent past into the rows a page shows. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeGuard

from cloud.dashboard.needs import KnownDevice
from cloud.dashboard.presence import DeviceLimits, SeenDevice, Shown, classify
from cloud.dashboard.sparkline import Window, sparkline
from cloud.timeseries.port import Latest, Series
from wire.ids import DeviceId, DeviceKey, SeriesKey, TenantId
from wire.messages import Value
from wire.quantities import format_value
from wire.units import unit_of

CELLS_PER_DEVICE = 4
_MACHINE_METRICS = (
    "cpu_used_pct",
    "memory_used_pct",
    "disk_used_pct",
    "network_received_bytes_per_s",
)
_AGENT_PREFIX = "agent_"


class Cell(NamedTuple):
    """One latest value as a page shows it."""

    key: SeriesKey
    text: str
    ts_ms: int
    is_number: bool


class Row(NamedTuple):
    """One device of the fleet table."""

    key: DeviceKey
    state: Shown
    newest_ms: int | None
    cells: list[Cell]
    spark: str
    spark_metric: str


class _Heard(NamedTuple):
    last_heard_ms: int | None
    online: bool | None


class FleetFacts(NamedTuple):
    """What is known of the fleet at one moment."""

    latest: Mapping[DeviceKey, list[Latest]]
    seen: Mapping[DeviceKey, SeenDevice]
    history: Mapping[SeriesKey, list[tuple[int, float]]]
    window: Window
    limits: DeviceLimits


def keys_of(devices: Iterable[KnownDevice]) -> list[DeviceKey]:
    """Return the devices' keys in order of tenant and name."""
    return sorted(DeviceKey(TenantId(known.tenant), DeviceId(known.device)) for known in devices)


def by_device(latest: Iterable[Latest]) -> dict[DeviceKey, list[Latest]]:
    """Group the latest values by device."""
    grouped: dict[DeviceKey, list[Latest]] = {}
    for point in latest:
        grouped.setdefault(DeviceKey(point.key.tenant, point.key.device), []).append(point)
    return grouped


def numbers_of(series: Iterable[Series]) -> dict[SeriesKey, list[tuple[int, float]]]:
    """Return the numeric points of each series."""
    return {
        one.key: [(ts, value) for ts, value in one.points if is_number(value)] for one in series
    }


def fleet_rows(keys: Sequence[DeviceKey], facts: FleetFacts) -> list[Row]:
    """Return one row for each device, in the given order."""
    return [_row(key, facts) for key in keys]


def presence_of(key: DeviceKey, facts: FleetFacts) -> Shown:
    """Return a device's presence; what it stored before the last start counts as heard."""
    seen = facts.seen.get(key)
    newest = newest_ms(facts.latest.get(key, []))
    if newest is not None and (seen is None or seen.last_heard_ms is None):
        seen = _Heard(newest, seen.online if seen is not None else None)
    return classify(seen, facts.window.to_ms, facts.limits.of(key))


def newest_ms(latest: Sequence[Latest]) -> int | None:
    """Return the time of the newest value, None when there is none."""
    return max((point.ts_ms for point in latest), default=None)


def headline_cells(latest: Sequence[Latest], limit: int = CELLS_PER_DEVICE) -> list[Cell]:
    """Return the values that say most of a device: a machine's own, then those with a unit."""
    return [cell_of(point) for point in sorted(latest, key=weight)[:limit]]


def cell_of(point: Latest) -> Cell:
    """Return a latest value as a page shows it."""
    text = format_value(point.key.metric, point.value)
    return Cell(point.key, text, point.ts_ms, is_number(point.value))


def is_number(value: Value) -> TypeGuard[float]:
    """Return whether a value can be drawn as a line."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def weight(point: Latest) -> tuple[bool, int, bool, bool, str]:
    """Return the place of a value among a device's: numbers before words, its own agent's last."""
    metric = point.key.metric
    known = metric in _MACHINE_METRICS
    rank = _MACHINE_METRICS.index(metric) if known else len(_MACHINE_METRICS)
    is_agents = metric.startswith(_AGENT_PREFIX)
    return (not is_number(point.value), rank, is_agents, not unit_of(metric), metric)


def _row(key: DeviceKey, facts: FleetFacts) -> Row:
    latest = facts.latest.get(key, [])
    cells = headline_cells(latest)
    drawn = next((cell.key for cell in cells if facts.history.get(cell.key)), None)
    return Row(
        key=key,
        state=presence_of(key, facts),
        newest_ms=newest_ms(latest),
        cells=cells,
        spark=sparkline(facts.history[drawn], facts.window) if drawn else "",
        spark_metric=drawn.metric if drawn else "",
    )
