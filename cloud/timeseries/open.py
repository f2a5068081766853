"""Open a telemetry store by its URL: the one place that knows all adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import TimeSeries
from tidegate.errors import Misconfigured


@asynccontextmanager
async def open_timeseries(
    url: str | None, *, data_dir: Path, settings: TimeSeriesStore | None = None
) -> AsyncIterator[TimeSeries]:
    """Open the store that `url` names; None is `telemetry.duckdb` in the data folder.

    `settings` says how long it keeps what; without, for ever.

    Raises:
        Misconfigured: the URL names no store we know, or its file cannot be opened.
    """
    settings = settings or TimeSeriesStore()
    check_retention(settings)
    if url is None:
        path = data_dir / "telemetry.duckdb"
    else:
        parts = urlsplit(url)
        if parts.scheme == "memory":
            yield Memory(settings.retention_days)
            return
        path = _file_of(url)
    async with DuckDB(path, settings) as store:
        yield store


def check_retention(settings: TimeSeriesStore) -> None:
    """Raise `Misconfigured` when rollups would go before the points that they stand for."""
    points, rollups = settings.retention_days, settings.rollup_retention_days
    if rollups is not None and (points is None or rollups < points):
        raise Misconfigured(
            "timeseries.rollup_retention_days is shorter than timeseries.retention_days: rollups"
            " stay at least as long as points"
        )


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
