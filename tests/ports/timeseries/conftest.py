"""The stores of the suite: each adapter, opened on nothing."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from cloud.settings import TimeSeriesStore
from cloud.timeseries.influx.rollups.rollups import Keep
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import TimeSeries
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import parse_address
from tests.support.victoria import Settled, Victoria
from tidegate.configuration import Secret

_EXACT = ["duckdb", "memory", "influx"]
Opener = Callable[[Path], AbstractAsyncContextManager[TimeSeries]]


@pytest.fixture(params=[*_EXACT, "victoria"])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter on nothing."""
    async with _opener(request)(tmp_path) as opened:
        yield opened


@pytest.fixture(params=_EXACT)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter that keeps all promises of the port on nothing.

    VictoriaMetrics replaces nothing, and has no order within a millisecond.
    """
    async with _opener(request)(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["duckdb", "influx"])
def rolling(request: pytest.FixtureRequest) -> Opener:
    """Return what opens an adapter that rolls up on nothing, each time in another folder."""
    return _opener(request)


def _opener(request: pytest.FixtureRequest) -> Opener:
    match request.param:
        case "duckdb":
            return lambda folder: open_timeseries(None, data_dir=folder)
        case "memory":
            return lambda folder: open_timeseries(Secret("memory:"), data_dir=folder)
        case "influx":
            influxd = request.getfixturevalue("influxd")
            return lambda _: _influx(influxd.url(f"test_{secrets.token_hex(6)}"))
        case _:
            url = request.getfixturevalue("victoria_url")
            server = request.getfixturevalue("victoria")
            return lambda _: _victoria(Secret(url), server)


@asynccontextmanager
async def _influx(url: str) -> AsyncIterator[TimeSeries]:
    # Nobody else writes to it: what is announced need not rest before it is acted on.
    async with open_remote(parse_address(Secret(url)), Keep(rest_s=0.0)) as opened:
        yield opened


@asynccontextmanager
async def _victoria(url: Secret, server: Victoria) -> AsyncIterator[TimeSeries]:
    async with open_timeseries(url, data_dir=Path()) as opened:
        yield Settled(opened, server)


@pytest.fixture(params=["duckdb", "memory"])
async def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter that drops points itself, told to keep them for 30 days."""
    settings = TimeSeriesStore(retention_days=30)
    url = Secret("memory:") if request.param == "memory" else None
    async with open_timeseries(url, data_dir=tmp_path, settings=settings) as opened:
        yield opened
