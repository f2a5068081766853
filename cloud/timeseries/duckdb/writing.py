"""What a batch changes in the tables. Every call belongs into the writer's transaction."""

import numpy as np
import numpy.typing as npt

from cloud.timeseries.duckdb.columns import Columns
from cloud.timeseries.duckdb.statements import sql
from cloud.timeseries.duckdb.transactions import Connection
from wire.ids import SeriesKey

_FORGET = sql("forget")


def insert_series(connection: Connection, series: list[tuple[int, SeriesKey]]) -> None:
    """Note new series by their ids."""
    if not series:
        return
    ids, keys = zip(*series, strict=True)
    tenants, devices, metrics = (np.array(names, object) for names in zip(*keys, strict=True))
    added = {"id": np.array(ids, np.int32), "tenant": tenants, "device": devices, "metric": metrics}
    connection.register("added", added)
    connection.execute("INSERT INTO series SELECT id, tenant, device, metric FROM added")


def forget(connection: Connection, columns: Columns, late: npt.NDArray[np.bool_]) -> None:
    """Delete what is stored at the late points' series, times and orders: they replace it."""
    if not late.any():
        return
    times_ms = columns.times_ms[late]
    points = {"series_id": columns.ids[late], "ts_ms": times_ms, "ord": columns.orders[late]}
    connection.register("late", points)
    bounds = {"first_ms": int(times_ms.min()), "last_ms": int(times_ms.max())}
    for table in ("points", "states"):
        connection.execute(_FORGET.format(table=table), bounds)


def insert(connection: Connection, columns: Columns) -> None:
    """Append the points; none of them is stored."""
    numbers = columns.is_number
    if numbers.any():
        _append(connection, "points", columns, numbers, {"value": columns.numbers[numbers]})
    if not numbers.all():
        _append(connection, "states", columns, ~numbers, {"state": columns.states[~numbers]})


def _append(
    connection: Connection,
    table: str,
    columns: Columns,
    chosen: npt.NDArray[np.bool_],
    values: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.object_]],
) -> None:
    rows = {
        "series_id": columns.ids[chosen],
        "ts_ms": columns.times_ms[chosen],
        "ord": columns.orders[chosen],
        **values,
    }
    connection.register("batch", rows)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch")  # noqa: S608 - constants


def delete_series(connection: Connection, ids: list[int]) -> None:
    """Delete series: their names and marks at once, their rows when `Purge` comes by."""
    if not ids:
        return
    connection.register("removed", {"series_id": np.array(ids, np.int32)})
    connection.execute("DELETE FROM series WHERE id IN (FROM removed)")
    connection.execute("DELETE FROM dirty WHERE series_id IN (FROM removed)")
    connection.execute("INSERT INTO gone FROM removed")
