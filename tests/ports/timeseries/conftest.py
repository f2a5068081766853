"""The stores of the suite: each adapter, opened on nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud.settings import TimeSeriesStore
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import TimeSeries
from tests.support.victoria import Settled
from tidegate.configuration import Secret

_EXACT = ["duckdb", "memory", "influx"]


@pytest.fixture(params=[*_EXACT, "victoria"])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter on nothing."""
    async with _opened(request, tmp_path) as opened:
        yield opened


@pytest.fixture(params=_EXACT)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter that keeps all promises of the port on nothing.

    VictoriaMetrics replaces nothing, and has no order within a millisecond.
    """
    async with _opened(request, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def _opened(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[TimeSeries]:
    match request.param:
        case "duckdb":
            url = None
        case "memory":
            url = "memory:"
        case name:
            url = request.getfixturevalue(f"{name}_url")
    secret = None if url is None else Secret(url)
    async with open_timeseries(secret, data_dir=folder) as opened:
        if request.param == "victoria":
            yield Settled(opened, request.getfixturevalue("victoria"))
        else:
            yield opened


@pytest.fixture(params=["duckdb", "memory"])
async def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeries]:
    """Open each adapter that drops points itself, told to keep them for 30 days."""
    settings = TimeSeriesStore(retention_days=30)
    url = Secret("memory:") if request.param == "memory" else None
    async with open_timeseries(url, data_dir=tmp_path, settings=settings) as opened:
        yield opened
