"""Stored points in columns: what ingest hands to every service that watches the data."""

import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from wire.ids import DeviceKey, SeriesKey
from wire.messages import Value

_BOOT_MASK, SEQ_MASK = 0x7FFF_FFFF, 0xFFFF_FFFF
_TEXT_MASK = (1 << 43) - 1
_MAX_CACHED_CHARS = 512


def order_of(boot: str, seq: int) -> int:
    """Return the `order` of a reading's points: 63 bits, the same for it each time.

    The boot's checksum (31 bits) stands above the sequence's low 32 bits: readings of one boot
    are in order of their sequences, and those of different boots stay apart.
    """
    return (zlib.crc32(boot.encode()) & _BOOT_MASK) << 32 | (seq & SEQ_MASK)


def order_among(text: str, rest_ns: int) -> int:
    """Return the `order` of a reading that has no sequence: 63 bits, the same for it each time.

    A checksum of `text` (43 bits; 0 for none) stands above what of its time a millisecond does
    not show: readings of equal text are in order of their times, those of others stay apart.
    """
    return _checksum(text) << 20 | rest_ns if text else rest_ns


@lru_cache(maxsize=4_096)
def _short_checksum(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) & _TEXT_MASK


def _checksum(text: str) -> int:
    """Return a checksum; only short texts are remembered."""
    if len(text) <= _MAX_CACHED_CHARS:
        return _short_checksum(text)
    return _short_checksum.__wrapped__(text)


@dataclass(slots=True)
class PointBatch:
    """Points in columns of equal length, in order of arrival.

    `series[i]` had `values[i]` at `ts_ms[i]` (Unix time, milliseconds). A point is known by its
    series, time and `order`: what tells readings of the same millisecond apart, `order_of` those
    that have a boot and a sequence, else the reading's own (`order_among`) or 0. An `order` that
    is too short is filled with zeros.
    Receivers must not change a batch: the same object goes to all of them.
    """

    series: list[SeriesKey] = field(default_factory=list)
    ts_ms: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Fill up `order`."""
        missing = len(self.ts_ms) - len(self.order)
        if missing > 0:
            self.order = self.order + [0] * missing

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.ts_ms)

    def part(self, start: int, stop: int) -> "PointBatch":
        """Return the points `start` to `stop` (not included)."""
        return PointBatch(
            self.series[start:stop],
            self.ts_ms[start:stop],
            self.values[start:stop],
            self.order[start:stop],
        )

    def append(self, series: SeriesKey, ts_ms: int, value: Value, *, order: int = 0) -> None:
        """Add one point."""
        self.series.append(series)
        self.ts_ms.append(ts_ms)
        self.values.append(value)
        self.order.append(order)


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that is durable: its points, and when each device was last heard (Unix ms)."""

    points: PointBatch
    heard_at_ms: dict[DeviceKey, int]
