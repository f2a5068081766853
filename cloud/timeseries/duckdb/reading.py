"""Reading the tables: raw points, pages of them, and steps, with rollups where they serve."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cloud.timeseries.buckets import HOUR_MS, MINUTES_MS, Stretch, level_of
from cloud.timeseries.duckdb.columns import decode_state
from cloud.timeseries.duckdb.progress import EARLIEST_MS, Progress, served
from cloud.timeseries.duckdb.rollups import load
from cloud.timeseries.duckdb.statements import floored, sql
from cloud.timeseries.duckdb.transactions import Connection
from cloud.timeseries.port import Aggregate, Series, SeriesQuery
from wire.ids import SeriesKey
from wire.messages import Value

_NO_LIMIT = 2**62
_RAW, _STEPPED, _STEPPED_ROLLUPS = sql("raw"), sql("stepped"), sql("stepped_rollups")
_PART_ROLLUPS, _PART_CLEAN = sql("part_rollups"), sql("part_clean")
_PART_POINTS, _PART_REDO = sql("part_points"), sql("part_redo")
_TABLES = {MINUTES_MS: "rollups_5m", HOUR_MS: "rollups_1h"}
_AGGREGATES = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "last": "arg_max(value, ROW(points.ts_ms, points.ord))",
    "sum": "sum(value)",
    "count": "count(value)",
}
_OF_PARTS = {
    "mean": "sum(sum) / sum(count)",
    "min": "min(min)",
    "max": "max(max)",
    "last": "arg_max(last, ROW(last_ms, ord))",
    "sum": "sum(sum)",
    "count": "sum(count)",
}


class Start(NamedTuple):
    """Of the first wanted series (`place` 0) points come from here on; -1: all of them."""

    place: int = -1
    ts_ms: int = 0
    order: int = 0


Row = tuple[int, int, int, Value]  # place among the wanted series, ts_ms, order, value


def register(cursor: Connection, wanted: list[tuple[SeriesKey, int]]) -> None:
    """Let the statements know which series are wanted, and in which order."""
    ids = np.array([series_id for _, series_id in wanted], np.int32)
    places = np.arange(len(wanted), dtype=np.int32)
    cursor.register("wanted", {"series_id": ids, "place": places})


def raw_rows(
    cursor: Connection, query: SeriesQuery, *, limit: int | None, start: Start
) -> list[Row]:
    """Return points of the registered series as they were stored, in order."""
    most = _NO_LIMIT if limit is None else limit
    bounds = {"from_ms": query.from_ms, "to_ms": query.to_ms, "most": most}
    bounds |= {"at_place": start.place, "at_ms": start.ts_ms, "at_ord": start.order}
    cursor.begin()
    numbers = list(_fetched(cursor.execute(_RAW.format(table="points", value="value"), bounds)))
    states = [
        (place, ts_ms, order, decode_state(str(state)))
        for place, ts_ms, order, state in _fetched(
            cursor.execute(_RAW.format(table="states", value="state"), bounds)
        )
    ]
    cursor.commit()
    rows = sorted(numbers + states, key=lambda row: row[:3]) if states else numbers
    return rows[:most]


def series_of(keys: list[SeriesKey], rows: list[Row]) -> list[Series]:
    """Return rows by their series."""
    found: dict[int, list[tuple[int, Value]]] = {}
    for place, ts_ms, _, value in rows:
        found.setdefault(place, []).append((ts_ms, value))
    return [Series(keys[place], points) for place, points in found.items()]


def stepped(
    cursor: Connection, query: SeriesQuery, keys: list[SeriesKey], *, limit: int | None
) -> list[Series]:
    """Return one point a step for the registered series, which are `keys`."""
    step_ms = query.step_ms or 1
    asked = Stretch(max(query.from_ms, EARLIEST_MS), query.to_ms)
    level_ms = level_of(step_ms)
    cursor.begin()
    progress = load(cursor) if level_ms is not None else Progress()
    use = served(progress, asked, level_ms) if level_ms is not None else None
    if level_ms is None or use is None:
        statement, bounds = _of_points(query.aggregate, asked)
    else:
        redo = _redo(cursor, Stretch(max(use.from_ms, progress.raw_from_ms), use.to_ms), level_ms)
        # Before raw_from_ms there are no points to ask, except late ones that wait to be folded in.
        from_ms = max(asked.from_ms, min(progress.raw_from_ms, use.from_ms))
        outside = [Stretch(from_ms, use.from_ms), Stretch(use.to_ms, asked.to_ms)]
        statement, bounds = _of_rollups(query.aggregate, use, outside, redo, level_ms=level_ms)
    bounds |= {"step_ms": step_ms, "most": _NO_LIMIT if limit is None else limit}
    columns = cursor.execute(statement, bounds).fetchnumpy()
    cursor.commit()
    return _split(keys, columns)


def _of_points(aggregate: Aggregate, asked: Stretch) -> tuple[str, dict[str, int]]:
    step = floored("ts_ms", "$step_ms")
    statement = _STEPPED.format(step=step, aggregate=_AGGREGATES[aggregate])
    return statement, dict(asked._asdict())


def _of_rollups(
    aggregate: Aggregate,
    use: Stretch,
    outside: list[Stretch],
    redo: Stretch | None,
    *,
    level_ms: int,
) -> tuple[str, dict[str, int]]:
    """Return a statement of those parts that are not empty: each costs time to plan."""
    rollups = _TABLES[level_ms]
    bounds = {"first_ms": use.from_ms, "end_ms": use.to_ms}
    parts = [_PART_ROLLUPS.format(rollups=rollups)]
    if redo is not None:
        parts[0] += _PART_CLEAN.format(rollups=rollups)
        parts.append(_PART_REDO.format(bucket=floored("ts_ms", str(level_ms))))
        bounds |= {"redo_ms": redo.from_ms, "redone_ms": redo.to_ms}
    parts += [_PART_POINTS.format(**one._asdict()) for one in outside if one.from_ms < one.to_ms]
    statement = _STEPPED_ROLLUPS.format(
        parts="\nUNION ALL\n".join(parts),
        step=floored("start_ms", "$step_ms"),
        aggregate=_OF_PARTS[aggregate],
    )
    return statement, bounds


def _redo(cursor: Connection, use: Stretch, level_ms: int) -> Stretch | None:
    """Register the wanted buckets that are dirty as `redo`; return their time, None without any."""
    start = floored("start_ms", str(level_ms))
    found = cursor.execute(
        f"SELECT DISTINCT place, series_id, {start} AS start_ms"  # noqa: S608 - constants
        " FROM dirty JOIN wanted USING (series_id) WHERE start_ms >= ? AND start_ms < ?",
        use,
    ).fetchnumpy()
    starts_ms = found["start_ms"]
    if not len(starts_ms):
        return None
    cursor.register("redo", dict(found))
    return Stretch(int(starts_ms.min()), int(starts_ms.max()) + level_ms)


def _split(keys: list[SeriesKey], columns: dict[str, npt.NDArray[np.int64]]) -> list[Series]:
    """Return columns in order of place by their series."""
    places = columns["place"]
    if not len(places):
        return []
    points = list(zip(columns["ts_ms"].tolist(), columns["value"].tolist(), strict=True))
    edges = [0, *(np.flatnonzero(places[1:] != places[:-1]) + 1).tolist(), len(places)]
    return [
        Series(keys[places[first]], points[first:end]) for first, end in itertools.pairwise(edges)
    ]


def _fetched(result: Connection) -> Iterator[Row]:
    columns = result.fetchnumpy()
    names = ("place", "ts_ms", "ord", "value")
    return zip(*(columns[name].tolist() for name in names), strict=True)
