"""What every store of telemetry promises to several that write, read and delete at once."""

from collections.abc import Callable

import anyio
import pytest

from cloud.timeseries.port import (
    Series,
    TimeSeries,
)
from tests.ports.timeseries.points import ALWAYS, NOW_MS, batch_of, key

pytestmark = pytest.mark.anyio


async def test_store_writes_and_reads_at_once(any_store: TimeSeries) -> None:
    """Concurrent batches all arrive, also while they are read."""
    await _write_and_look(any_store, lambda found: None)

    found = await any_store.read(ALWAYS)
    assert [len(series.points) for series in found] == [20] * 15
    assert len(await any_store.latest()) == 15


@pytest.mark.parametrize("store", ["duckdb", "memory"], indirect=True)
async def test_store_shows_whole_batches_only(store: TimeSeries) -> None:
    """Who reads meanwhile sees all of a batch or nothing; servers have no transactions."""

    def look(found: list[Series]) -> None:
        lengths = {len(s.points) for s in found if s.key.metric.startswith("m0-")}
        assert len(lengths) <= 1

    await _write_and_look(store, look)


async def _write_and_look(store: TimeSeries, look: Callable[[list[Series]], None]) -> None:
    async def write(writer: int) -> None:
        for ts_ms in range(20):
            await store.write(batch_of(*((key(f"m{writer}-{i}"), ts_ms, 1.0) for i in range(5))))

    async def read() -> None:
        for _ in range(20):
            look(await store.read(ALWAYS))
            await store.ping()

    async with anyio.create_task_group() as tasks:
        for writer in range(3):
            tasks.start_soon(write, writer)
        tasks.start_soon(read)


async def test_store_writes_while_others_delete_and_tend(store: TimeSeries) -> None:
    """Nothing that was written to another device, or afterwards, is missing."""

    async def write() -> None:
        for ts_ms in range(30):
            await store.write(batch_of((key("t"), ts_ms, 1.0), (key("t", "fan"), ts_ms, 1.0)))

    async def delete() -> None:
        for _ in range(10):
            await store.delete("acme", "pump")
            await store.tend(NOW_MS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(delete)
    await store.delete("acme", "pump")
    await store.write(batch_of((key("t"), 5, 5.0)))

    found = {series.key: series.points for series in await store.read(ALWAYS)}
    assert found[key("t")] == [(5, 5.0)]
    assert len(found[key("t", "fan")]) == 30
