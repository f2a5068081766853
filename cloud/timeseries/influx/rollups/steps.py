"""Steps that are made of rollups and of points: what to ask where, and how parts join. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from cloud.timeseries.buckets import Stretch, ceil_to, floor_to
from cloud.timeseries.influx.influxql import Result, Span, Whose
from cloud.timeseries.influx.lines import FIRST_MS, NS_PER_MS
from cloud.timeseries.influx.rollups.marks import merged
from cloud.timeseries.influx.rollups.rollupql import (
    LEVELS,
    RAW,
    Level,
    part_of,
    parts_over,
    span_of,
)
from cloud.timeseries.influx.scanning import MOST_ROWS
from cloud.timeseries.port import Aggregate, SeriesQuery
from wire.ids import SeriesKey
from wire.messages import Value

# More late stretches than that are read as one, with what is between them.
MOST_CUTS = 16
# How much longer the time of a portion becomes when there was little in the one before.
_WIDER = 16


class Progress(msgspec.Struct, frozen=True):
    """How far the rollups of a database have come; times in Unix ms, whole hours.

    round: what is late is marked with its number; `rolling` tells why.
    aim_ms: whoever writes what is older has to mark it.
    rolled_ms: what is older is rolled up, unless it is marked.
    raw_from_ms: points of before may be gone by their age.
    """

    round: int
    aim_ms: int
    rolled_ms: int
    raw_from_ms: int


class Part(NamedTuple):
    """A time, and whether to ask the rollups (their length in ms) or the points (None)."""

    stretch: Stretch
    level_ms: int | None

    @property
    def level(self) -> Level:
        """Return where that stands."""
        return RAW if self.level_ms is None else LEVELS[self.level_ms]


class Sums(NamedTuple):
    """What sums and means are made of; `is_lost` when a part had a sum that fits no float."""

    total: float
    points: float
    is_lost: bool


Piece = Sums | float


def served(query: SeriesQuery, level_ms: int, rolled_ms: int) -> Stretch | None:
    """Return the part of the range that whole buckets of a level can answer; None if none."""
    first_ms = ceil_to(level_ms, max(query.from_ms, FIRST_MS))
    end_ms = floor_to(level_ms, min(query.to_ms, rolled_ms))
    return Stretch(first_ms, end_ms) if first_ms < end_ms else None


def parts_of(
    query: SeriesQuery, use: Stretch, level_ms: int, *, raw_from_ms: int, late_ms: Iterable[int]
) -> list[Part]:
    """Return what to ask for a series, in order of time, without the parts that are empty.

    `late_ms` are hours whose rollups are not up to date: there the points are asked. Of before
    `raw_from_ms` there are no points.
    """
    parts = [Part(Stretch(max(query.from_ms, min(raw_from_ms, use.from_ms)), use.from_ms), None)]
    at_ms = use.from_ms
    for late in _cuts(late_ms, Stretch(max(use.from_ms, raw_from_ms), use.to_ms)):
        parts += [Part(Stretch(at_ms, late.from_ms), level_ms), Part(late, None)]
        at_ms = late.to_ms
    parts += [
        Part(Stretch(at_ms, use.to_ms), level_ms),
        Part(Stretch(use.to_ms, query.to_ms), None),
    ]
    return [part for part in parts if part.stretch.from_ms < part.stretch.to_ms]


@dataclass(slots=True)
class StepScan:
    """A part of a series' steps, until `most` are there; `rows` are by step start (ns)."""

    query: SeriesQuery
    key: SeriesKey
    level: Level
    span: Span
    most: int
    rows: dict[int, Piece] = field(default_factory=dict)
    is_done: bool = False
    # A statement goes over all of its time, whatever its limit: so it has a time that may be full.
    wide: int = 1

    def statement(self) -> str:
        """Return the statement for the next portion."""
        columns = part_of(self.level, self.query.aggregate, self.key.metric)
        whose, step_ms = Whose(self.key.tenant, self.key.device), self.query.step_ms or 1
        span = Span(self.span.from_ns, self._end_ns())
        limit = self._asked()
        return parts_over(columns, self.level, step_ms, whose=whose, span=span, limit=limit)

    def take(self, result: Result) -> None:
        """Take in the answer to the statement."""
        asked, got, is_cut = self._asked(), 0, False
        last_ns = self.span.from_ns
        for rows in result.series:
            is_cut |= rows.partial
            got += len(rows.values)
            for last_ns, *columns in rows.values:
                piece = _piece(self.query.aggregate, columns)
                if piece is not None:
                    self.rows[last_ns] = piece
        is_cut |= got >= asked
        next_ns = last_ns + self._step_ns if is_cut else self._end_ns()
        if got < asked // 2:
            self.wide *= _WIDER
        self.is_done = len(self.rows) >= self.most or next_ns >= self.span.to_ns
        self.span = Span(next_ns, self.span.to_ns)

    def _asked(self) -> int:
        return min(self.most - len(self.rows), MOST_ROWS)

    def _end_ns(self) -> int:
        """Return the end of the next portion: of a step, so that none is cut."""
        first_ns = floor_to(self._step_ns, self.span.from_ns)
        return min(first_ns + self._asked() * self.wide * self._step_ns, self.span.to_ns)

    @property
    def _step_ns(self) -> int:
        return (self.query.step_ms or 1) * NS_PER_MS


def step_scans(
    query: SeriesQuery, key: SeriesKey, parts: Iterable[Part], *, most: int
) -> list[StepScan]:
    """Return the scans of a series' parts."""
    return [StepScan(query, key, part.level, span_of(part.stretch), most) for part in parts]


def joined_steps(aggregate: Aggregate, scans: Sequence[StepScan]) -> list[tuple[int, Value]]:
    """Return the steps (ns) of scans that are in order of time; what lies in one step is joined."""
    steps: dict[int, Piece] = {}
    for scan in scans:
        for ns, piece in scan.rows.items():
            steps[ns] = _join(aggregate, steps[ns], piece) if ns in steps else piece
    return [(ns, _value(aggregate, piece)) for ns, piece in steps.items()]


def _cuts(late_ms: Iterable[int], use: Stretch) -> list[Stretch]:
    inside = [
        Stretch(max(late.from_ms, use.from_ms), min(late.to_ms, use.to_ms))
        for late in merged(late_ms)
    ]
    cuts = [late for late in inside if late.from_ms < late.to_ms]
    if len(cuts) > MOST_CUTS:
        return [Stretch(cuts[0].from_ms, cuts[-1].to_ms)]
    return cuts


def _piece(aggregate: Aggregate, columns: Sequence[Any]) -> Piece | None:
    if not all(_is_number(column) for column in columns if column is not None):
        return None
    if aggregate not in ("mean", "sum"):
        return None if columns[0] is None else float(columns[0])
    total, count, *buckets = columns
    if not count:
        return None
    is_lost = bool(buckets) and (buckets[0] or 0) < buckets[1]
    return Sums(float(total or 0.0), float(count), is_lost)


def _is_number(column: object) -> bool:
    return isinstance(column, int | float) and not isinstance(column, bool)


def _join(aggregate: Aggregate, before: Piece, after: Piece) -> Piece:
    if isinstance(before, Sums) and isinstance(after, Sums):
        is_lost = before.is_lost or after.is_lost
        return Sums(before.total + after.total, before.points + after.points, is_lost)
    if isinstance(before, Sums) or isinstance(after, Sums):
        raise TypeError("parts of one aggregate are of one kind")
    match aggregate:
        case "min":
            return min(before, after)
        case "max":
            return max(before, after)
        case "count":
            return before + after
    return after


def _value(aggregate: Aggregate, piece: Piece) -> float:
    if not isinstance(piece, Sums):
        return piece
    if piece.is_lost:
        return float("inf")
    return piece.total / piece.points if aggregate == "mean" else piece.total
