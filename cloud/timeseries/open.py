"""Open a telemetry store by its URL: the one place that knows all adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.influx.rollups.rollups import Keep
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import TimeSeries
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import SCHEMES, parse_address
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured


@asynccontextmanager
async def open_timeseries(
    url: Secret | None, *, data_dir: Path, settings: TimeSeriesStore | None = None
) -> AsyncIterator[TimeSeries]:
    """Open the store that `url` names; None is `telemetry.duckdb` in the data folder.

    `settings` says how long it keeps what; without, for ever, or as long as a server was told. A
    server need not be there yet.

    Raises:
        Misconfigured: the URL names no store we know, or its file cannot be opened. The message
            does not repeat the URL: it may hold a password.
    """
    settings = settings or TimeSeriesStore()
    check_retention(settings)
    scheme = _scheme_of(url)
    if scheme == "memory":
        yield Memory(settings.retention_days)
    elif url is not None and scheme in SCHEMES:
        keep = Keep(settings.retention_days, settings.rollup_retention_days)
        async with open_remote(parse_address(url), keep) as remote:
            yield remote
    else:
        path = data_dir / "telemetry.duckdb" if url is None else _file_of(url.reveal())
        async with DuckDB(path, settings) as store:
            yield store


def check_url(url: Secret | None) -> None:
    """See that a URL names a store, without opening it; raise `Misconfigured` when it does not."""
    scheme = _scheme_of(url)
    if url is None or scheme == "memory":
        return
    if scheme in SCHEMES:
        parse_address(url)
    else:
        _file_of(url.reveal())


def _scheme_of(url: Secret | None) -> str:
    try:
        return urlsplit(url.reveal()).scheme if url is not None else "duckdb"
    except ValueError as exc:
        raise Misconfigured("timeseries.url cannot be read") from exc


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
        known = ", ".join(f"{scheme}://…" for scheme in SCHEMES)
        raise Misconfigured(f"timeseries.url: known are duckdb:///FILE, memory:, {known}")
    if parts.netloc or len(parts.path) < len("/x"):
        raise Misconfigured("timeseries.url names no file: write duckdb:///FILE")
    return Path(unquote(parts.path[1:]))
