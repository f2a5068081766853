"""Stored points in columns: what ingest hands to every service that watches the data."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import NamedTuple, Self

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
    return _high_bits(boot) | (seq & SEQ_MASK)


@lru_cache(maxsize=4_096)
def _high_bits(boot: str) -> int:
    return (zlib.crc32(boot.encode()) & _BOOT_MASK) << 32


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


class Shape:
    """The series that a reading's values belong to, in order: all of one device.

    Known by its identity: who makes readings makes a shape once for each set of names, and who
    stores them can remember what it makes of one.
    """

    __slots__ = ("series",)

    def __init__(self, series: Iterable[SeriesKey]) -> None:
        self.series = tuple(series)

    def __len__(self) -> int:
        """Return how many values a reading of this shape has."""
        return len(self.series)


@dataclass(slots=True)
class Rows:
    """Readings in columns of equal length, in order of arrival.

    Reading i has `values[i]` for the series of `shapes[i]`, at `ts_ms[i]`; its points' order is
    `order[i]`.
    """

    shapes: list[Shape] = field(default_factory=list)
    ts_ms: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    values: list[tuple[Value, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.ts_ms)

    def part(self, start: int, stop: int) -> "Rows":
        """Return the readings `start` to `stop` (not included)."""
        return Rows(
            self.shapes[start:stop],
            self.ts_ms[start:stop],
            self.order[start:stop],
            self.values[start:stop],
        )

    def extend(self, others: "Rows") -> None:
        """Add readings behind these."""
        self.shapes += others.shapes
        self.ts_ms += others.ts_ms
        self.order += others.order
        self.values += others.values


class _Columns(NamedTuple):
    series: list[SeriesKey]
    ts_ms: list[int]
    values: list[Value]
    order: list[int]
    readings: int


class PointBatch:
    """Points, reading by reading (`rows`), and the same in columns of a point each.

    `series[i]` had `values[i]` at `ts_ms[i]` (Unix time, milliseconds). A point is known by its
    series, time and `order`: what tells readings of the same millisecond apart, `order_of` those
    that have a boot and a sequence, else the reading's own (`order_among`) or 0.
    Receivers must not change a batch: the same object goes to all of them.
    """

    __slots__ = ("_columns", "rows")

    def __init__(
        self,
        series: Sequence[SeriesKey] = (),
        ts_ms: Sequence[int] = (),
        values: Sequence[Value] = (),
        order: Sequence[int] = (),
    ) -> None:
        """Make a reading of each point; an `order` that is too short is filled with zeros."""
        shapes = {key: Shape((key,)) for key in set(series)}
        missing = len(ts_ms) - len(order)
        self.rows = Rows(
            [shapes[key] for key in series],
            list(ts_ms),
            [*order, *[0] * missing],
            [(value,) for value in values],
        )
        self._columns: _Columns | None = None

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Return a batch of readings."""
        batch = cls()
        batch.rows = rows
        return batch

    def __len__(self) -> int:
        """Return the number of points."""
        return sum(map(len, self.rows.values))

    @property
    def series(self) -> list[SeriesKey]:
        """Return each point's series."""
        return self._in_columns().series

    @property
    def ts_ms(self) -> list[int]:
        """Return each point's time."""
        return self._in_columns().ts_ms

    @property
    def values(self) -> list[Value]:
        """Return each point's value."""
        return self._in_columns().values

    @property
    def order(self) -> list[int]:
        """Return each point's order."""
        return self._in_columns().order

    def append(self, series: SeriesKey, ts_ms: int, value: Value, *, order: int = 0) -> None:
        """Add one point, a reading of its own."""
        self.rows.extend(Rows([Shape((series,))], [ts_ms], [order], [(value,)]))

    def _in_columns(self) -> _Columns:
        """Return the columns, made anew when readings were added since."""
        rows, made = self.rows, self._columns
        if made is None or made.readings != len(rows):
            sizes = list(map(len, rows.values))
            made = self._columns = _Columns(
                [key for shape in rows.shapes for key in shape.series],
                list(chain.from_iterable(map(repeat, rows.ts_ms, sizes))),
                list(chain.from_iterable(rows.values)),
                list(chain.from_iterable(map(repeat, rows.order, sizes))),
                len(rows),
            )
        return made


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that is durable: its points, and when each device was last heard (Unix ms)."""

    points: PointBatch
    heard_at_ms: dict[DeviceKey, int]
