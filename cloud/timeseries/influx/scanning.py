"""A series' values out of InfluxDB, portion by portion: what to ask, and what came. Pure."""

from collections.abc import Collection, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from cloud.timeseries.influx import influxql
from cloud.timeseries.influx.influxql import Result, Span, Whose
from cloud.timeseries.influx.lines import TELEMETRY, time_ns
from cloud.timeseries.port import Place, SeriesQuery
from wire.ids import SeriesKey
from wire.messages import Value

MOST_ROWS = 10_000
_FIRST_GROUP = 4


@dataclass(slots=True)
class Scan:
    """One metric's values in one measurement, until `most` are there; `rows` are by time (ns)."""

    key: SeriesKey
    measurement: str
    span: Span
    most: int
    rows: dict[int, Value] = field(default_factory=dict)
    is_done: bool = False

    def statement(self) -> str:
        """Return the statement for the next portion."""
        whose = Whose(self.key.tenant, self.key.device)
        metric, limit = self.key.metric, self._asked()
        return influxql.rows_of(self.measurement, metric, whose=whose, span=self.span, limit=limit)

    def take(self, result: Result) -> None:
        """Take in the answer to the statement."""
        asked, got, is_partial = self._asked(), 0, False
        last_ns = self.span.from_ns
        for rows in result.series:
            is_partial |= rows.partial
            got += len(rows.values)
            for last_ns, stored in rows.values:
                value = value_of(self.measurement, stored)
                if value is not None:
                    self.rows[last_ns] = value
        self.is_done = len(self.rows) >= self.most or got == 0 or (got < asked and not is_partial)
        self.span = Span(last_ns + 1, self.span.to_ns)

    def _asked(self) -> int:
        return min(self.most - len(self.rows), MOST_ROWS)


def scan_of(
    query: SeriesQuery, key: SeriesKey, measurement: str, *, most: int, start: Place | None
) -> Scan:
    """Return the scan of a series from `start` on."""
    span = influxql.span_of(query)
    if start is not None and start.key == key:
        begin_ns = time_ns(start.ts_ms, start.order)
        span = Span(min(max(span.from_ns, begin_ns), span.to_ns), span.to_ns)
    return Scan(key, measurement, span, most)


def growing(keys: Sequence[SeriesKey], most: int) -> Iterator[Sequence[SeriesKey]]:
    """Cut keys into groups: small ones first, of which a page may not need more; then of `most`."""
    at, size = 0, _FIRST_GROUP
    while at < len(keys):
        yield keys[at : at + size]
        at, size = at + size, min(size * 2, most)


class _Rows(Protocol):
    """A scan of something."""

    is_done: bool

    @property
    def rows(self) -> Sized: ...


_AnyScan = TypeVar("_AnyScan", bound=_Rows)


def unfinished(scans: Collection[Sequence[_AnyScan]], most: int) -> list[_AnyScan]:
    """Return which scans of some series, in their order, have to go on for `most` points in all.

    Those behind the first series that have enough need not: they would be read for nothing.
    """
    wanted: list[_AnyScan] = []
    there = 0
    for of_one in scans:
        if there >= most:
            break
        wanted += [scan for scan in of_one if not scan.is_done]
        there += max(len(scan.rows) for scan in of_one)
    return wanted


def joined(scans: Sequence[Scan]) -> list[tuple[int, Value]]:
    """Return numbers and states, scanned in this order, by time; of one time the state counts."""
    rows: dict[int, Value] = {}
    for scan in scans:
        rows |= scan.rows
    return sorted(rows.items(), key=lambda point: point[0])


def value_of(measurement: str, stored: Any) -> Value | None:
    """Return what was stored; None for nothing, and for what others have written there."""
    if measurement == TELEMETRY:
        is_number = isinstance(stored, int | float) and not isinstance(stored, bool)
        return float(stored) if is_number else None
    try:
        value: Value = msgspec.json.decode(stored, type=bool | float | str)
    except (TypeError, msgspec.MsgspecError):
        return None
    return value
