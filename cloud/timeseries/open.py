"""Open a telemetry store by its URL: the one place that knows all adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import TimeSeries
from tidegate.errors import Misconfigured


@asynccontextmanager
async def open_timeseries(url: str | None, *, data_dir: Path) -> AsyncIterator[TimeSeries]:
    """Open the store that `url` names; None is `telemetry.duckdb` in the data folder.

    Raises:
        Misconfigured: the URL names no store we know, or its file cannot be opened.
    """
    if url is None:
        path = data_dir / "telemetry.duckdb"
    else:
        parts = urlsplit(url)
        if parts.scheme == "memory":
            yield Memory()
            return
        path = _file_of(url)
    async with DuckDB(path) as store:
        yield store


def _file_of(url: str) -> Path:
    """Return the path in `duckdb:///relative/file`, or `duckdb:////absolute/file`."""
    parts = urlsplit(url)
    if parts.scheme != "duckdb":
        raise Misconfigured(
            f"timeseries.url begins with '{parts.scheme}:'; known are duckdb:///FILE and memory:"
        )
    if parts.netloc or len(parts.path) < len("/x"):
        raise Misconfigured("timeseries.url names no file: write duckdb:///FILE")
    return Path(unquote(parts.path[1:]))
