"""Telemetry on a server: which one it is we find out when it is first needed.

The server may be away when we start, and it may be another version when it comes back.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import structlog

from cloud.timeseries.influx.database import Database
from cloud.timeseries.influx.rollups.rollups import Keep
from cloud.timeseries.port import Latest, Page, Place, Series, SeriesQuery, StoreAway
from cloud.timeseries.servers.address import Address
from cloud.timeseries.servers.detect import Server, detect
from cloud.timeseries.servers.http import TIMEOUT_S, Http
from cloud.timeseries.victoria.store import Victoria
from wire.points import PointBatch

T = TypeVar("T")

_log = structlog.get_logger()

Backend = Database | Victoria


@asynccontextmanager
async def open_remote(
    address: Address, keep: Keep | None = None, *, timeout_s: float = TIMEOUT_S
) -> AsyncIterator["Remote"]:
    """Open the store at an address; nothing is connected before the first call."""
    async with Http(address, timeout_s=timeout_s) as http:
        remote = Remote(http, keep or Keep())
        try:
            yield remote
        finally:
            with anyio.move_on_after(timeout_s, shield=True):
                await remote.aclose()


class Remote:
    """The adapter of `cloud.timeseries.port.TimeSeries` for InfluxDB and VictoriaMetrics."""

    def __init__(self, http: Http, keep: Keep) -> None:
        self._http = http
        self._keep = keep
        self._backend: Backend | None = None
        self._server: Server | None = None
        self._is_sure = False
        self._detecting = anyio.Lock()

    async def aclose(self) -> None:
        """Close what the server's adapter holds."""
        if self._backend is not None:
            await self._backend.aclose()

    async def prepare(self, batch: PointBatch) -> None:
        """Do what can be done before its turn (see the port), once the server is known."""
        if self._backend is not None:
            await self._backend.prepare(batch)

    async def write(self, batch: PointBatch) -> None:
        """Store a batch (see the port)."""
        await self._do(lambda backend: backend.write(batch))

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        return await self._do(lambda backend: backend.read(query, limit=limit))

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        return await self._do(lambda backend: backend.page(query, limit=limit, start=start))

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series (see the port)."""
        return await self._do(lambda backend: backend.latest(tenant, device))

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device or a tenant (see the port)."""
        await self._do(lambda backend: backend.delete(tenant, device))

    async def tend(self, now_ms: int) -> None:
        """Do what has to be done now and then (see the port)."""
        await self._do(lambda backend: backend.tend(now_ms))

    async def ping(self) -> None:
        """Return when the server answers and is one that we know."""
        await detect(self._http)

    async def _do(self, call: Callable[[Backend], Awaitable[T]]) -> T:
        """Call the adapter of the server that is there."""
        backend = await self._detected()
        try:
            return await call(backend)
        except StoreAway:
            self._is_sure = False
            raise

    async def _detected(self) -> Backend:
        async with self._detecting:
            if self._backend is None or not self._is_sure:
                server = await detect(self._http)
                if self._backend is None or not self._is_served_by(server):
                    await self.aclose()
                    self._backend = _backend(self._http, server, self._keep)
                    self._server = server
                    _log.info("timeseries.detected", server=server.kind, version=server.version)
                self._is_sure = True
            return self._backend

    def _is_served_by(self, server: Server) -> bool:
        """Return whether our adapter is that server's; Victoria's is of all versions.

        It knows what the server took last, to be sent again: also after an upgrade.
        """
        is_victoria = server.kind == "victoria" and isinstance(self._backend, Victoria)
        return is_victoria or server == self._server


def _backend(http: Http, server: Server, keep: Keep) -> Backend:
    if server.kind == "victoria":
        return Victoria(http, keep_days=keep.days)
    if not http.address.database:
        raise StoreAway(f"{http.address.name} is InfluxDB: timeseries.url has to name a database")
    return Database(http, server, keep)
