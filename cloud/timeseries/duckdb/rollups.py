"""Rollups of five minutes and of an hour: count, sum, min, max, first and last of each bucket.

`rolled_ms` moves forward behind the clock; what is written, replaced or deleted below it marks its
bucket dirty in the same transaction, and `redo` makes dirty buckets anew from their points. Every
call is one transaction, or belongs into one: after a crash the file is as after some of them.
"""

import numpy as np
import numpy.typing as npt

from cloud.timeseries.buckets import HOUR_MS, MINUTES_MS, Stretch, floor_to
from cloud.timeseries.duckdb.catalog import Catalog
from cloud.timeseries.duckdb.columns import Columns
from cloud.timeseries.duckdb.file import File
from cloud.timeseries.duckdb.progress import EARLIEST_MS, INT64_MIN, Progress
from cloud.timeseries.duckdb.statements import floored, sql
from cloud.timeseries.duckdb.transactions import Connection

SETTLE_MS = 2 * 60_000
"""How long after its end a bucket is rolled up: points that are late by less cost nothing more."""
_BUCKET = floored("points.ts_ms", str(MINUTES_MS))
_HOUR = floored("rollups_5m.start_ms", str(HOUR_MS))
_KEPT = "points ANTI JOIN gone USING (series_id)"
_CHOSEN = (
    f"points JOIN chosen ON chosen.series_id = points.series_id AND chosen.start_ms = {_BUCKET}"
)
_CHOSEN_HOURS = (
    "rollups_5m JOIN chosen ON chosen.series_id = rollups_5m.series_id"
    f" AND chosen.start_ms = {_HOUR}"
)
_ROLL = sql("roll").format(start=_BUCKET, points=_KEPT)
_ROLL_CHOSEN = sql("roll").format(start=_BUCKET, points=_CHOSEN)
_ROLL_HOURS = sql("roll_hours").format(start=_HOUR, rollups="rollups_5m")
_ROLL_CHOSEN_HOURS = sql("roll_hours").format(start=_HOUR, rollups=_CHOSEN_HOURS)
_FOLD = sql("fold").format(start=_BUCKET)
_UNROLL = {table: sql("unroll").format(table=table) for table in ("rollups_5m", "rollups_1h")}

Ids = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]


class Rollups:
    """The rollups of one file. All calls belong to the writer, one at a time."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.progress = load(file.connection)

    def mark(self, connection: Connection, columns: Columns) -> None:
        """Mark the buckets of points that come below `rolled_ms` dirty."""
        times_ms = columns.times_ms
        below = (times_ms < self.progress.rolled_ms) & (times_ms >= EARLIEST_MS)
        if not below.any():
            return
        ids = columns.ids[below]
        starts_ms = times_ms[below] // MINUTES_MS * MINUTES_MS
        differs = (ids[1:] != ids[:-1]) | (starts_ms[1:] != starts_ms[:-1])
        firsts = np.append(True, differs)
        marks = {"series_id": ids[firsts], "start_ms": starts_ms[firsts]}
        connection.register("marks", marks)
        connection.execute("INSERT INTO dirty SELECT series_id, start_ms FROM marks")

    def advance(self, now_ms: int, span_ms: int) -> bool:
        """Roll up at most `span_ms` more of what has settled; return whether there is more."""
        before = self.progress
        target_ms = max(floor_to(MINUTES_MS, now_ms - SETTLE_MS), before.raw_from_ms)
        if before.rolled_ms >= target_ms:
            return self._turn_back(target_ms)
        with self._file.transaction() as connection:
            stretch = _stretch_to_roll(connection, Stretch(before.rolled_ms, target_ms), span_ms)
            progress = before._replace(rolled_ms=stretch.to_ms)
            _roll(connection, stretch._replace(from_ms=before.rolled_ms))
            _roll_hours(connection, Stretch(before.hours_ms, progress.hours_ms))
            save(connection, progress)
        self.progress = progress
        return progress.rolled_ms < target_ms

    def redo(self, span_ms: int) -> bool:
        """Make dirty buckets in the first `span_ms` that has some anew; return whether it had."""
        with self._file.transaction() as connection:
            first_ms = first_dirty(connection, self.progress)
            if first_ms is None:
                return False
            stretch = Stretch(floor_to(HOUR_MS, first_ms), floor_to(HOUR_MS, first_ms) + span_ms)
            ids, starts_ms = _dirty_in(connection, stretch)
            _choose(connection, ids, starts_ms)
            connection.execute(_UNROLL["rollups_5m"], stretch._asdict())
            connection.execute(_ROLL_CHOSEN, stretch._asdict())
            _redo_hours(connection, ids, starts_ms, stretch, self.progress.hours_ms)
            _clean(connection, stretch)
        return True

    def fold(self, span_ms: int, catalog: Catalog) -> bool:
        """Take late points from before `raw_from_ms` into their buckets; return whether any were.

        The points are dropped in the same transaction. Points between a bucket's first and last
        are dropped without being counted: they may be a repetition. `catalog` forgets series of
        which nothing is left.
        """
        raw_from_ms = self.progress.raw_from_ms
        if raw_from_ms == EARLIEST_MS:
            return False
        with self._file.transaction() as connection:
            first_ms = first_stored(connection, Stretch(INT64_MIN, raw_from_ms))
            if first_ms is None:
                _clean(connection, Stretch(EARLIEST_MS, raw_from_ms))
                return False
            from_ms = floor_to(HOUR_MS, max(first_ms, EARLIEST_MS))
            stretch = Stretch(from_ms, min(from_ms + span_ms, raw_from_ms))
            merged = connection.execute(_FOLD, stretch._asdict()).fetchnumpy()
            ids, starts_ms = merged["series_id"], merged["start_ms"]
            _choose(connection, ids, starts_ms)
            connection.execute(_UNROLL["rollups_5m"], stretch._asdict())
            connection.register("merged", dict(merged))
            connection.execute("INSERT INTO rollups_5m BY NAME SELECT * FROM merged")
            _redo_hours(connection, ids, starts_ms, stretch, self.progress.hours_ms)
            drop_points(connection, Stretch(INT64_MIN, stretch.to_ms))
        catalog.forget_before(stretch.to_ms)
        return True

    def _turn_back(self, target_ms: int) -> bool:
        """Follow a clock that was far ahead and has been set right; what is above is done anew."""
        before = self.progress
        if before.rolled_ms > target_ms + HOUR_MS:
            progress = before._replace(rolled_ms=target_ms)
            with self._file.transaction() as connection:
                save(connection, progress)
            self.progress = progress
        return False


def save(connection: Connection, progress: Progress) -> None:
    """Keep how far it has come, in the transaction of what it says."""
    connection.execute("DELETE FROM progress")
    connection.execute("INSERT INTO progress VALUES (?, ?)", list(progress))


def first_dirty(connection: Connection, progress: Progress) -> int | None:
    """Return the first dirty bucket whose points are all there."""
    return _one(
        connection, "SELECT min(start_ms) FROM dirty WHERE start_ms >= ?", progress.raw_from_ms
    )


def first_stored(connection: Connection, stretch: Stretch) -> int | None:
    """Return the time of the first point or state in a stretch."""
    tables = ("points", "states")
    statement = "SELECT min(ts_ms) FROM {} WHERE ts_ms >= ? AND ts_ms < ?"
    found = [_one(connection, statement.format(table), *stretch) for table in tables]
    return min((one for one in found if one is not None), default=None)


def drop_points(connection: Connection, stretch: Stretch) -> None:
    """Delete all points and states in a stretch."""
    for table in ("points", "states"):
        connection.execute(
            f"DELETE FROM {table} WHERE ts_ms >= ? AND ts_ms < ?",  # noqa: S608 - constants
            stretch,
        )


def load(connection: Connection) -> Progress:
    """Return how far it has come, as the transaction sees it."""
    row = connection.execute("SELECT rolled_ms, raw_from_ms FROM progress").fetchone()
    return Progress() if row is None else Progress(*row)


def _stretch_to_roll(connection: Connection, left: Stretch, span_ms: int) -> Stretch:
    """Return the next `span_ms` that is left; a long one begins at the hour of its first point."""
    from_ms = left.from_ms
    if left.to_ms - from_ms > span_ms:
        first_ms = _one(
            connection,
            "SELECT ts_ms FROM points WHERE ts_ms >= ? AND ts_ms < ? ORDER BY ts_ms LIMIT 1",
            *left,
        )
        from_ms = left.to_ms if first_ms is None else max(from_ms, floor_to(HOUR_MS, first_ms))
    return Stretch(from_ms, min(from_ms + span_ms, left.to_ms))


def _roll(connection: Connection, stretch: Stretch) -> None:
    """Make the buckets of a stretch, instead of any that are there."""
    connection.execute("DELETE FROM rollups_5m WHERE start_ms >= ? AND start_ms < ?", stretch)
    _clean(connection, stretch)
    connection.execute(_ROLL, stretch._asdict())


def _roll_hours(connection: Connection, stretch: Stretch) -> None:
    connection.execute("DELETE FROM rollups_1h WHERE start_ms >= ? AND start_ms < ?", stretch)
    connection.execute(_ROLL_HOURS, stretch._asdict())


def _dirty_in(connection: Connection, stretch: Stretch) -> tuple[Ids, Times]:
    found = connection.execute(
        "SELECT DISTINCT series_id, start_ms FROM dirty WHERE start_ms >= ? AND start_ms < ?",
        stretch,
    ).fetchnumpy()
    return found["series_id"], found["start_ms"]


def _choose(connection: Connection, ids: Ids, starts_ms: Times) -> None:
    connection.register("chosen", {"series_id": ids, "start_ms": starts_ms})


def _redo_hours(
    connection: Connection, ids: Ids, starts_ms: Times, stretch: Stretch, hours_ms: int
) -> None:
    """Make the hours of these buckets anew, of those that have been rolled up."""
    hours = starts_ms // HOUR_MS * HOUR_MS
    rolled = hours < hours_ms
    if not rolled.any():
        return
    pairs = np.unique(np.stack([ids[rolled].astype(np.int64), hours[rolled]]), axis=1)
    _choose(connection, pairs[0].astype(np.int32), pairs[1])
    connection.execute(_UNROLL["rollups_1h"], stretch._asdict())
    connection.execute(_ROLL_CHOSEN_HOURS, stretch._asdict())


def _clean(connection: Connection, stretch: Stretch) -> None:
    connection.execute("DELETE FROM dirty WHERE start_ms >= ? AND start_ms < ?", stretch)


def _one(connection: Connection, statement: str, *values: int) -> int | None:
    row = connection.execute(statement, list(values)).fetchone()
    return None if row is None or row[0] is None else int(row[0])
