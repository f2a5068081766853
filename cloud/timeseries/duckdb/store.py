"""The DuckDB adapter: one writer at a time, several readers, the catalog of series in memory."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import numpy as np

from cloud.settings import TimeSeriesStore
from cloud.timeseries.buckets import Pace
from cloud.timeseries.duckdb.catalog import Catalog
from cloud.timeseries.duckdb.columns import columns_of, decode_state
from cloud.timeseries.duckdb.file import File
from cloud.timeseries.duckdb.reading import Start, raw_rows, register, series_of, stepped
from cloud.timeseries.duckdb.retention import Purge, Retention
from cloud.timeseries.duckdb.rollups import Rollups
from cloud.timeseries.duckdb.statements import sql
from cloud.timeseries.duckdb.transactions import Connection, translated
from cloud.timeseries.duckdb.writing import delete_series, forget, insert, insert_series
from cloud.timeseries.port import Latest, Page, Place, Series, SeriesQuery, StoreAway
from tidegate.errors import Misconfigured
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

READERS = 4
TEND_S = 20.0
"""How long one `tend` goes on at most; what is left waits for the next."""


class DuckDB:
    """The DuckDB adapter of `cloud.timeseries.port.TimeSeries`; open it with `async with`."""

    def __init__(self, path: Path, settings: TimeSeriesStore | None = None) -> None:
        self._settings = settings or TimeSeriesStore()
        self._file = File(path, self._settings)
        self._catalog = Catalog()
        self._saved_series = 0
        self._paces: dict[str, Pace] = {}
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
            await anyio.to_thread.run_sync(self._file.close, limiter=self._writer)

    async def prepare(self, batch: PointBatch) -> None:
        """Do nothing: writing is mostly the database's work, and that is done in turn."""

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
        """Delete everything of a device or a tenant (see the port): one small transaction.

        The names go at once, and with them everything can be found by; `tend` removes the rows.
        """
        await anyio.to_thread.run_sync(self._delete, tenant, device, limiter=self._writer)

    async def tend(self, now_ms: int) -> None:
        """Remove what was deleted, roll up, drop by age (see the port).

        Each part is done in transactions of about 0.1 s, between which others write.
        """
        end_s = monotonic() + TEND_S
        has_removed = False
        has_more = True
        while has_more and monotonic() < end_s:
            has_more = False
            for name in ("purge", "advance", "redo", "fold", "drop_points", "drop_rollups"):
                did = await anyio.to_thread.run_sync(self._tend, name, now_ms, limiter=self._writer)
                has_more |= did
                has_removed |= did and name in ("purge", "drop_points", "drop_rollups")
        if has_removed:
            await anyio.to_thread.run_sync(self._file.checkpoint, limiter=self._writer)

    async def ping(self) -> None:
        """Return when the file answers."""
        await anyio.to_thread.run_sync(self._ping, limiter=self._readers)

    def _open(self) -> None:
        self._file.open()
        connection = self._file.connection
        self._catalog = _catalog_of(connection)
        self._saved_series = len(self._catalog.keys)
        self._rollups = Rollups(self._file)
        self._retention = Retention(self._file, self._rollups, self._settings)
        self._purge = Purge(self._file)

    def _ping(self) -> None:
        with translated():
            self._file.cursor().execute("SELECT 1")

    def _write(self, batch: PointBatch) -> None:
        self._mend()
        catalog = self._catalog
        columns = columns_of(batch, catalog.ids(batch.series))
        late = ~catalog.after_newest(columns.ids, columns.times_ms, columns.orders)
        end = len(catalog.keys)
        with self._file.transaction() as connection:
            insert_series(connection, catalog.known(self._saved_series, end))
            forget(connection, columns, late)
            insert(connection, columns)
            self._rollups.mark(connection, columns)
        self._saved_series = end
        lasts = columns.last_of_each()
        catalog.note(
            columns.ids[lasts],
            columns.times_ms[lasts],
            columns.orders[lasts],
            [columns.value_at(index) for index in lasts.tolist()],
        )

    def _delete(self, tenant: str, device: str | None) -> None:
        self._mend()
        ids = [series_id for _, series_id in self._catalog.matching(tenant, device, None)]
        with self._file.transaction() as connection:
            delete_series(connection, ids)
        self._catalog.remove(ids)

    def _tend(self, name: str, now_ms: int) -> bool:
        """Do one stretch of one part; return whether there may be more."""
        self._mend()
        steps: dict[str, Callable[[int], bool]] = {
            "purge": self._purge.step,
            "advance": lambda span_ms: self._rollups.advance(now_ms, span_ms),
            "redo": self._rollups.redo,
            "fold": lambda span_ms: self._rollups.fold(span_ms, self._catalog),
            "drop_points": lambda span_ms: self._retention.drop_points(
                now_ms, span_ms, self._catalog
            ),
            "drop_rollups": lambda span_ms: self._retention.drop_rollups(now_ms, span_ms),
        }
        pace = self._paces.setdefault(name, Pace())
        began_s = monotonic()
        did = steps[name](pace.span_ms)
        pace.note(monotonic() - began_s)
        return did

    def _mend(self) -> None:
        """DuckDB refuses all work after a fatal error (a full disk) until it is opened anew."""
        if not self._file.is_broken:
            return
        self._file.close()
        try:
            self._open()
        except Misconfigured as exc:
            raise StoreAway(str(exc)) from exc

    def _read(self, query: SeriesQuery, limit: int | None) -> list[Series]:
        wanted = self._catalog.matching(query.tenant, query.device, query.metric)
        if not wanted or query.from_ms >= query.to_ms:
            return []
        keys = [key for key, _ in wanted]
        with translated():
            cursor = self._file.cursor()
            register(cursor, wanted)
            if query.step_ms is not None:
                return stepped(cursor, query, keys, limit=limit)
            return series_of(keys, raw_rows(cursor, query, limit=limit, start=Start()))

    def _page(self, query: SeriesQuery, limit: int, start: Place | None) -> Page:
        wanted = self._catalog.matching(query.tenant, query.device, query.metric)
        if start is not None:
            wanted = [one for one in wanted if one[0] >= start.key]
        if not wanted or query.from_ms >= query.to_ms:
            return Page([], None)
        keys = [key for key, _ in wanted]
        begin = Start(0, *start[1:]) if start is not None and keys[0] == start.key else Start()
        with translated():
            cursor = self._file.cursor()
            register(cursor, wanted)
            rows = raw_rows(cursor, query, limit=limit + 1, start=begin)
        rest = rows[limit:]
        following = Place(keys[rest[0][0]], *rest[0][1:3]) if rest else None
        return Page(series_of(keys, rows[:limit]), following)


def _catalog_of(connection: Connection) -> Catalog:
    catalog = Catalog()
    rows = connection.execute(
        "SELECT id, tenant, device, metric FROM series ORDER BY id"
    ).fetchall()
    (after,) = connection.execute("SELECT coalesce(max(series_id) + 1, 0) FROM gone").fetchall()[0]
    catalog.load([(series_id, _key(*names)) for series_id, *names in rows], at_least=after)
    newest = connection.execute(sql("latest")).fetchall()
    if newest:
        ids, times_ms, orders, numbers, states = zip(*newest, strict=True)
        values = [n if s is None else decode_state(s) for n, s in zip(numbers, states, strict=True)]
        times, order = np.array(times_ms, np.int64), np.array(orders, np.int64)
        catalog.note(np.array(ids, np.int32), times, order, values)
    return catalog


def _key(tenant: str, device: str, metric: str) -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))
