"""Dropping by age, and removing what was deleted: one short transaction a call, in the writer."""

import numpy as np

from cloud.settings import TimeSeriesStore
from cloud.timeseries.buckets import DAY_MS, HOUR_MS, Stretch, ceil_to, floor_to
from cloud.timeseries.duckdb.catalog import Catalog
from cloud.timeseries.duckdb.file import File
from cloud.timeseries.duckdb.progress import EARLIEST_MS, INT64_MIN
from cloud.timeseries.duckdb.rollups import (
    Rollups,
    drop_points,
    first_dirty,
    first_stored,
    save,
)
from cloud.timeseries.duckdb.transactions import Connection

_TABLES = {
    "points": "ts_ms",
    "states": "ts_ms",
    "rollups_5m": "start_ms",
    "rollups_1h": "start_ms",
}
_EVERYWHERE = " UNION ALL ".join(
    f"SELECT series_id, {time} AS ts_ms FROM {table}"  # noqa: S608 - constants
    for table, time in _TABLES.items()
)
_NEWEST_STORED = """
SELECT max(ts_ms) FROM (SELECT ts_ms FROM points UNION ALL SELECT ts_ms FROM states)
WHERE ts_ms >= ? AND ts_ms < ?
"""


class Retention:
    """How long points and rollups of one file are kept."""

    def __init__(self, file: File, rollups: Rollups, settings: TimeSeriesStore) -> None:
        self._file = file
        self._rollups = rollups
        self._settings = settings

    def drop_points(self, now_ms: int, span_ms: int, catalog: Catalog) -> bool:
        """Drop at most `span_ms` of points that are too old; return whether there were any.

        What is dropped is in clean rollups. `catalog` forgets series of which nothing is left.
        """
        days = self._settings.retention_days
        if days is None:
            return False
        before = self._rollups.progress
        cutoff_ms = min(floor_to(HOUR_MS, now_ms - days * DAY_MS), before.hours_ms)
        # What is before raw_from_ms came late, and waits to be folded into its buckets.
        from_ms = before.raw_from_ms if before.raw_from_ms > EARLIEST_MS else INT64_MIN
        with self._file.transaction() as connection:
            first_ms = first_stored(connection, Stretch(from_ms, cutoff_ms))
            if first_ms is None:
                return False
            end_ms = min(cutoff_ms, floor_to(HOUR_MS, first_ms) + span_ms)
            dirty_ms = first_dirty(connection, before)
            if dirty_ms is not None:
                end_ms = min(end_ms, floor_to(HOUR_MS, dirty_ms))
            # Not simply to the end: a clock that was far ahead must not close the time before it.
            newest_ms = _newest_stored(connection, Stretch(from_ms, end_ms))
            if newest_ms is None:
                return False
            raw_from_ms = max(before.raw_from_ms, ceil_to(HOUR_MS, newest_ms + 1))
            drop_points(connection, Stretch(from_ms, raw_from_ms))
            progress = before._replace(raw_from_ms=raw_from_ms)
            save(connection, progress)
        self._rollups.progress = progress
        catalog.forget_before(raw_from_ms)
        return True

    def drop_rollups(self, now_ms: int, span_ms: int) -> bool:
        """Drop at most `span_ms` of rollups that are too old; return whether there were any."""
        days = self._settings.rollup_retention_days
        if days is None:
            return False
        cutoff_ms = min(
            floor_to(HOUR_MS, now_ms - days * DAY_MS), self._rollups.progress.raw_from_ms
        )
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT min(start_ms) FROM rollups_5m WHERE start_ms < ?", [cutoff_ms]
            ).fetchone()
            if row is None or row[0] is None:
                return False
            end_ms = min(cutoff_ms, floor_to(HOUR_MS, row[0]) + span_ms)
            for table in ("rollups_5m", "rollups_1h"):
                connection.execute(f"DELETE FROM {table} WHERE start_ms < ?", [end_ms])  # noqa: S608
        return True


class Purge:
    """Removes the rows of deleted series, a stretch of time in each call.

    A pass goes once over all times, for the series that were deleted when it began.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._ids: list[int] = []
        self._left: Stretch | None = None

    def step(self, span_ms: int) -> bool:
        """Remove at most `span_ms` of rows; return whether there is more to do."""
        with self._file.transaction() as connection:
            ids = self._ids if self._left is not None else _gone(connection)
            if not ids:
                return False
            connection.register("removed", {"series_id": np.array(ids, np.int32)})
            left = self._left or _rows_from(connection, None)
            to_ms = min(left.from_ms + span_ms, left.to_ms)
            removed = _remove(connection, Stretch(left.from_ms, to_ms))
            left = Stretch(to_ms, left.to_ms)
            if not removed and to_ms < left.to_ms:
                left = _rows_from(connection, to_ms)
            is_over = left.from_ms >= left.to_ms
            if is_over:
                connection.execute("DELETE FROM gone WHERE series_id IN (FROM removed)")
        self._ids, self._left = ids, None if is_over else left
        return True


def _gone(connection: Connection) -> list[int]:
    rows = connection.execute("SELECT DISTINCT series_id FROM gone").fetchall()
    return [series_id for (series_id,) in rows]


def _rows_from(connection: Connection, from_ms: int | None) -> Stretch:
    """Return the time from the first to the last row that is to be removed; empty if none is."""
    where = "" if from_ms is None else f"AND ts_ms >= {from_ms}"
    row = connection.execute(
        f"SELECT min(ts_ms), max(ts_ms) FROM ({_EVERYWHERE})"  # noqa: S608 - numbers of ours
        f" WHERE series_id IN (FROM removed) {where}"
    ).fetchone()
    return Stretch(0, 0) if row is None or row[0] is None else Stretch(row[0], row[1] + 1)


def _remove(connection: Connection, stretch: Stretch) -> int:
    """Remove the rows of a stretch; return how many there were."""
    removed = 0
    for table, time in _TABLES.items():
        row = connection.execute(
            f"DELETE FROM {table} WHERE series_id IN (FROM removed)"  # noqa: S608 - constants
            f" AND {time} >= ? AND {time} < ?",
            stretch,
        ).fetchone()
        removed += 0 if row is None else int(row[0])
    return removed


def _newest_stored(connection: Connection, stretch: Stretch) -> int | None:
    row = connection.execute(_NEWEST_STORED, stretch).fetchone()
    return None if row is None else row[0]
