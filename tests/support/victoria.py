"""A real VictoriaMetrics on a free port, and a name of its own for each test's data."""

import secrets
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import anyio.to_thread
import msgspec
import pytest

from cloud.timeseries.port import Latest, Page, Place, Series, SeriesQuery, TimeSeries
from tests.support.server_process import ServerProcess, program_path, required
from wire.points import PointBatch

# A multiple of every step that tests use.
_SHIFT_MS = 1_600_000_000_000


class Victoria(ServerProcess):
    """A server that keeps everything since 1970, unless `retention` says less."""

    name: ClassVar[str] = "victoria"

    def __init__(
        self, program: str, *, folder: Path, retention: str = "100y", flags: Sequence[str] = ()
    ) -> None:
        super().__init__(program, folder=folder)
        self._retention = retention
        self._flags = flags

    @property
    def http_url(self) -> str:
        """The address of its HTTP API."""
        return f"http://{self.host}:{self.port}"

    def url(self, name: str) -> str:
        """Return the address of somebody's data in the form of `[timeseries] url`."""
        return f"victoria://{self.host}:{self.port}/{name}"

    def flush(self) -> None:
        """Make visible what has been written; by itself that takes up to a second."""
        with urllib.request.urlopen(f"{self.http_url}/internal/force_flush", timeout=10):
            pass

    def _command(self) -> list[str]:
        return [
            self._program,
            f"-httpListenAddr={self.host}:{self.port}",
            f"-storageDataPath={self.folder}/data",
            f"-retentionPeriod={self._retention}",
            "-search.latencyOffset=0s",
            # By default it takes most of the machine's memory for its caches.
            "-memory.allowedBytes=256MiB",
            *self._flags,
        ]


class Settled:
    """A store on a VictoriaMetrics for tests that write about 1970 and read at once.

    What they write shows at once; by itself it takes up to a second. And their times are moved to
    where the server knows any.
    """

    def __init__(self, store: TimeSeries, server: Victoria) -> None:
        self._store = store
        self._server = server

    async def prepare(self, batch: PointBatch) -> None:
        """Do nothing: it is another batch that is written."""

    async def write(self, batch: PointBatch) -> None:
        """Write."""
        times_ms = [ts_ms + _SHIFT_MS for ts_ms in batch.ts_ms]
        await self._store.write(PointBatch(batch.series, times_ms, batch.values, batch.order))

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Read what has been written."""
        await self._flush()
        return _unshifted(await self._store.read(_shifted(query), limit=limit))

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Read what has been written."""
        await self._flush()
        if start is not None:
            start = start._replace(ts_ms=start.ts_ms + _SHIFT_MS)
        page = await self._store.page(_shifted(query), limit=limit, start=start)
        following = page.next and page.next._replace(ts_ms=page.next.ts_ms - _SHIFT_MS)
        return Page(_unshifted(page.series), following)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Read what has been written."""
        await self._flush()
        found = await self._store.latest(tenant, device)
        return [one._replace(ts_ms=one.ts_ms - _SHIFT_MS) for one in found]

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete what has been written."""
        await self._flush()
        await self._store.delete(tenant, device)

    async def tend(self, now_ms: int) -> None:
        """Tend."""
        await self._store.tend(now_ms)

    async def ping(self) -> None:
        """Ping."""
        await self._store.ping()

    async def _flush(self) -> None:
        await anyio.to_thread.run_sync(self._server.flush)


def _shifted(query: SeriesQuery) -> SeriesQuery:
    return msgspec.structs.replace(
        query, from_ms=query.from_ms + _SHIFT_MS, to_ms=query.to_ms + _SHIFT_MS
    )


def _unshifted(found: list[Series]) -> list[Series]:
    return [Series(key, [(ts - _SHIFT_MS, value) for ts, value in points]) for key, points in found]


def victoria_program() -> str:
    """Return the server's path; without it the test is skipped, or fails in CI."""
    return required(program_path("victoria-metrics"), package="victoria-metrics")


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victoria]:
    """Run one real VictoriaMetrics for the whole session."""
    with Victoria(victoria_program(), folder=tmp_path_factory.mktemp("victoria")) as server:
        yield server


@pytest.fixture
def own_victoria(tmp_path: Path) -> Iterator[Victoria]:
    """Run a VictoriaMetrics for this test alone, which may kill, pause and start it again."""
    with Victoria(victoria_program(), folder=tmp_path / "victoria") as server:
        yield server


@pytest.fixture
def victoria_url(victoria: Victoria) -> str:
    """Return the URL of data that nobody has yet."""
    return victoria.url(f"test_{secrets.token_hex(6)}")
