"""Telemetry in one DuckDB file: the store that needs no server.

Writes go through one connection, one at a time; each commit is synced to the write-ahead log
before `write` returns. DuckDB folds the log into the file when it has grown to 64 MiB and when
the store is closed; after a crash the next start replays it.
"""

import contextlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import anyio
import anyio.to_thread
import duckdb
import numpy as np
import numpy.typing as npt

from cloud.timeseries.catalog import Catalog
from cloud.timeseries.columns import Columns, columns_of, decode_state
from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
    StoreAway,
)
from tidegate.errors import Misconfigured
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

CHECKPOINT_AT = "64MiB"
READERS = 4
_SQL = resources.files("cloud.timeseries") / "sql"
_AGGREGATES = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "last": "arg_max(value, ROW(points.ts_ms, points.ord))",
    "sum": "sum(value)",
    "count": "count(value)",
}
_NO_LIMIT = 2**62


class _Start(NamedTuple):
    """Of the first wanted series (`place` 0) points come from here on; -1: all of them."""

    place: int = -1
    ts_ms: int = 0
    order: int = 0


_Row = tuple[int, int, int, Value]  # place among the wanted series, ts_ms, order, value
T = TypeVar("T")


class DuckDB:
    """The DuckDB adapter of `cloud.timeseries.port.TimeSeries`; open it with `async with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._catalog = Catalog()
        self._saved_series = 0
        self._broken = False
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._writer = anyio.CapacityLimiter(1)
        self._readers = anyio.CapacityLimiter(READERS)

    async def __aenter__(self) -> Self:
        """Open the file; raise `Misconfigured` when it cannot be."""
        await anyio.to_thread.run_sync(self._open, limiter=self._writer)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Fold the log into the file and close it."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._writer)

    async def write(self, batch: PointBatch) -> None:
        """Store a batch; durable on return (see the port)."""
        if len(batch):
            await anyio.to_thread.run_sync(self._write, batch, limiter=self._writer)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        return await anyio.to_thread.run_sync(self._read, query, limit, limiter=self._readers)

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        return await anyio.to_thread.run_sync(
            self._page, query, limit, start, limiter=self._readers
        )

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series, from memory."""
        if tenant is not None and device is not None:
            return self._catalog.latest(tenant, device)
        # A whole fleet's are too many for the event loop.
        return await anyio.to_thread.run_sync(
            self._catalog.latest, tenant, device, limiter=self._readers
        )

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device or a tenant (see the port)."""
        await anyio.to_thread.run_sync(self._delete, tenant, device, limiter=self._writer)

    async def tend(self, now_ms: int) -> None:
        """Nothing is dropped by age."""

    async def ping(self) -> None:
        """Return when the file answers."""
        await anyio.to_thread.run_sync(self._ping, limiter=self._readers)

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(str(self._path))
            connection.execute(f"SET checkpoint_threshold = '{CHECKPOINT_AT}'")
            connection.execute(_sql("schema"))
        except (duckdb.Error, OSError) as exc:
            raise Misconfigured(_opening_fault(self._path, exc)) from exc
        self._connection = connection
        self._catalog = _catalog_of(connection)
        self._saved_series = len(self._catalog.keys)
        self._broken = False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ping(self) -> None:
        with _translated():
            self._cursor().execute("SELECT 1")

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreAway("the DuckDB file is not open")
        return self._connection.cursor()

    def _write(self, batch: PointBatch) -> None:
        if self._broken:
            self._reopen()
        columns = columns_of(batch, self._catalog.ids(batch.series))
        late = ~self._catalog.after_newest(columns.ids, columns.times_ms, columns.orders)
        new_series = self._catalog.keys[self._saved_series :]
        connection = self._connection
        if connection is None:
            raise StoreAway("the DuckDB file is not open")
        with self._transaction(connection):
            _insert_series(connection, new_series, first_id=self._saved_series)
            if late.any():
                _forget(connection, columns, late)
            _insert(connection, columns)
        self._saved_series += len(new_series)
        lasts = columns.last_of_each()
        self._catalog.note(
            columns.ids[lasts],
            columns.times_ms[lasts],
            columns.orders[lasts],
            [columns.value_at(index) for index in lasts.tolist()],
        )

    def _delete(self, tenant: str, device: str | None) -> None:
        connection = self._connection
        if connection is None:
            raise StoreAway("the DuckDB file is not open")
        ids = [series_id for _, series_id in self._catalog.matching(tenant, device, None)]
        with self._transaction(connection):
            connection.register("gone", {"id": np.array(ids, np.int32)})
            for table in ("points", "states"):
                connection.execute(
                    f"DELETE FROM {table} WHERE series_id IN (SELECT id FROM gone)"  # noqa: S608 - constants
                )
        self._catalog.forget(ids)

    @contextlib.contextmanager
    def _transaction(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        try:
            with _translated():
                connection.begin()
                yield
                connection.commit()
        except (StoreAway, PointsRejected) as exc:
            self._broken = isinstance(
                exc.__cause__, duckdb.FatalException | duckdb.InternalException
            )
            with contextlib.suppress(duckdb.Error):
                connection.rollback()
            raise

    def _reopen(self) -> None:
        """DuckDB refuses all work after a fatal error (a full disk) until it is opened anew."""
        self._close()
        try:
            self._open()
        except Misconfigured as exc:
            raise StoreAway(str(exc)) from exc

    def _read(self, query: SeriesQuery, limit: int | None) -> list[Series]:
        wanted = self._catalog.matching(query.tenant, query.device, query.metric)
        if not wanted or query.from_ms >= query.to_ms:
            return []
        most = _NO_LIMIT if limit is None else limit
        with _translated():
            cursor = self._cursor()
            _register(cursor, wanted)
            if query.step_ms is not None:
                rows = _stepped_rows(cursor, query, query.step_ms, most=most)
            else:
                rows = _raw_rows(cursor, query, most=most, start=_Start())
        return _series_of([key for key, _ in wanted], rows)

    def _page(self, query: SeriesQuery, limit: int, start: Place | None) -> Page:
        wanted = self._catalog.matching(query.tenant, query.device, query.metric)
        if start is not None:
            wanted = [one for one in wanted if one[0] >= start.key]
        if not wanted or query.from_ms >= query.to_ms:
            return Page([], None)
        keys = [key for key, _ in wanted]
        with _translated():
            cursor = self._cursor()
            _register(cursor, wanted)
            begin = (
                _Start(0, *start[1:]) if start is not None and keys[0] == start.key else _Start()
            )
            rows = list(_raw_rows(cursor, query, most=limit + 1, start=begin))
        rest = rows[limit:]
        following = Place(keys[rest[0][0]], *rest[0][1:3]) if rest else None
        return Page(_series_of(keys, iter(rows[:limit])), following)


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text("utf-8")


_RAW, _STEPPED, _FORGET = _sql("raw"), _sql("stepped"), _sql("forget")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (duckdb.DataError, duckdb.IntegrityError) as exc:
        raise PointsRejected(f"DuckDB refuses the points: {exc}") from exc
    except duckdb.Error as exc:
        raise StoreAway(f"DuckDB does not answer: {exc}") from exc


def _opening_fault(path: Path, exc: Exception) -> str:
    if "lock" in str(exc):
        return (
            f"{path} is in use by another process: stop that one, or choose another --data folder"
        )
    return f"{path} cannot be opened as a telemetry store: {exc}"


def _catalog_of(connection: duckdb.DuckDBPyConnection) -> Catalog:
    catalog = Catalog()
    rows = connection.execute("SELECT tenant, device, metric FROM series ORDER BY id").fetchall()
    catalog.ids([_key(*row) for row in rows])
    newest = connection.execute(_sql("latest")).fetchall()
    if newest:
        ids, times_ms, orders, numbers, states = zip(*newest, strict=True)
        values = [n if s is None else decode_state(s) for n, s in zip(numbers, states, strict=True)]
        times, order = np.array(times_ms, np.int64), np.array(orders, np.int64)
        catalog.note(np.array(ids, np.int32), times, order, values)
    return catalog


def _key(tenant: str, device: str, metric: str) -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


def _insert_series(
    connection: duckdb.DuckDBPyConnection, keys: list[SeriesKey], *, first_id: int
) -> None:
    if not keys:
        return
    tenants, devices, metrics = (np.array(names, object) for names in zip(*keys, strict=True))
    ids = np.arange(first_id, first_id + len(keys), dtype=np.int32)
    added = {"id": ids, "tenant": tenants, "device": devices, "metric": metrics}
    connection.register("added", added)
    connection.execute("INSERT INTO series SELECT id, tenant, device, metric FROM added")


def _forget(
    connection: duckdb.DuckDBPyConnection, columns: Columns, late: npt.NDArray[np.bool_]
) -> None:
    """Delete what is stored at the late points' series, times and orders: they replace it."""
    times_ms = columns.times_ms[late]
    points = {"series_id": columns.ids[late], "ts_ms": times_ms, "ord": columns.orders[late]}
    connection.register("late", points)
    bounds = {"first_ms": int(times_ms.min()), "last_ms": int(times_ms.max())}
    for table in ("points", "states"):
        connection.execute(_FORGET.format(table=table), bounds)


def _insert(connection: duckdb.DuckDBPyConnection, columns: Columns) -> None:
    numbers = columns.is_number
    if numbers.any():
        points = {
            "series_id": columns.ids[numbers],
            "ts_ms": columns.times_ms[numbers],
            "value": columns.numbers[numbers],
            "ord": columns.orders[numbers],
        }
        connection.register("batch", points)
        connection.execute("INSERT INTO points BY NAME SELECT * FROM batch")
    if not numbers.all():
        states = {
            "series_id": columns.ids[~numbers],
            "ts_ms": columns.times_ms[~numbers],
            "state": columns.states[~numbers],
            "ord": columns.orders[~numbers],
        }
        connection.register("batch", states)
        connection.execute("INSERT INTO states BY NAME SELECT * FROM batch")


def _register(cursor: duckdb.DuckDBPyConnection, wanted: list[tuple[SeriesKey, int]]) -> None:
    ids = np.array([series_id for _, series_id in wanted], np.int32)
    places = np.arange(len(wanted), dtype=np.int32)
    cursor.register("wanted", {"series_id": ids, "place": places})


def _stepped_rows(
    cursor: duckdb.DuckDBPyConnection, query: SeriesQuery, step_ms: int, *, most: int
) -> Iterator[_Row]:
    sql = _STEPPED.format(aggregate=_AGGREGATES[query.aggregate])
    bounds = {"from_ms": query.from_ms, "to_ms": query.to_ms, "step_ms": step_ms, "most": most}
    return _fetched(cursor.execute(sql, bounds))


def _raw_rows(
    cursor: duckdb.DuckDBPyConnection, query: SeriesQuery, *, most: int, start: _Start
) -> Iterator[_Row]:
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
    return iter(rows[:most])


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[_Row]:
    columns = result.fetchnumpy()
    names = ("place", "ts_ms", "ord", "value")
    return zip(*(columns[name].tolist() for name in names), strict=True)


def _series_of(keys: list[SeriesKey], rows: Iterator[_Row]) -> list[Series]:
    found: dict[int, list[tuple[int, Value]]] = {}
    for place, ts_ms, _, value in rows:
        found.setdefault(place, []).append((ts_ms, value))
    return [Series(keys[place], points) for place, points in found.items()]
