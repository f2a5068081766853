"""Stored points in columns: what ingest hands to every service that watches the data."""

from dataclasses import dataclass, field

from wire.ids import DeviceKey, SeriesKey
from wire.messages import Value


@dataclass(slots=True)
class PointBatch:
    """Points in columns of equal length, in order of arrival.

    `series[i]` had `values[i]` at `ts_ms[i]` (Unix time, milliseconds). Receivers must not
    change a batch: the same object goes to all of them.
    """

    series: list[SeriesKey] = field(default_factory=list)
    ts_ms: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.ts_ms)

    def append(self, series: SeriesKey, ts_ms: int, value: Value) -> None:
        """Add one point."""
        self.series.append(series)
        self.ts_ms.append(ts_ms)
        self.values.append(value)


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that is durable: its points, and when each device was last heard (Unix ms)."""

    points: PointBatch
    heard_at_ms: dict[DeviceKey, int]
