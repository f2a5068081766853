"""What a file keeps when points are dropped by age, removed, or when it is killed meanwhile."""

import sys
from pathlib import Path

import duckdb
import pytest

from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.open import check_retention
from cloud.timeseries.port import Aggregate, Latest, Series, SeriesQuery
from tests.support.processes import kill_when_it_says
from tidegate.errors import Misconfigured
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_HOUR_MS = 60 * 60_000
_DAY_MS = 24 * _HOUR_MS
_NOW_MS = 20_000 * _DAY_MS
_OLD_MS = _NOW_MS - 40 * _DAY_MS
_ALWAYS = SeriesQuery(0, 2**62)
_KEEP = TimeSeriesStore(retention_days=30)


def _points(*points: tuple[int, float]) -> PointBatch:
    return PointBatch(
        [_KEY] * len(points), [ms for ms, _ in points], [value for _, value in points]
    )


async def _hours(store: DuckDB, aggregate: Aggregate = "sum") -> list[tuple[int, float]]:
    query = SeriesQuery(0, 2**62, step_ms=_HOUR_MS, aggregate=aggregate)
    return [
        (ts_ms, float(value))
        for series in await store.read(query)
        for ts_ms, value in series.points
    ]


def _rows(path: Path, table: str) -> int:
    with duckdb.connect(str(path)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


async def test_retention_leaves_rollups(tmp_path: Path) -> None:
    """Past the retention of points steps of five minutes and of an hour are answered still."""
    async with DuckDB(tmp_path / "t.duckdb", _KEEP) as store:
        await store.write(_points((_OLD_MS, 1.0), (_OLD_MS + 1, 3.0), (_NOW_MS, 9.0)))

        await store.tend(_NOW_MS)

        fives = SeriesQuery(0, 2**62, step_ms=300_000, aggregate="last")
        assert await store.read(_ALWAYS) == [Series(_KEY, [(_NOW_MS, 9.0)])]
        assert await store.read(fives) == [Series(_KEY, [(_OLD_MS, 3.0), (_NOW_MS, 9.0)])]
        assert await _hours(store, "count") == [(_OLD_MS, 2.0), (_NOW_MS, 1.0)]


async def test_retention_takes_late_points_into_rollups_once(tmp_path: Path) -> None:
    """What comes after its time was dropped is counted if it is new there, and only once."""
    async with DuckDB(tmp_path / "t.duckdb", _KEEP) as store:
        await store.write(_points((_OLD_MS, 1.0), (_OLD_MS + 100, 2.0)))
        await store.tend(_NOW_MS)
        late = _points((_OLD_MS + 50, 4.0), (_OLD_MS + 100, 8.0), (_OLD_MS + 200, 16.0),
                       (_OLD_MS - 5 * _HOUR_MS, 32.0))  # fmt: skip

        for _ in range(2):
            await store.write(late)
            await store.tend(_NOW_MS)

        assert await _hours(store) == [(_OLD_MS - 5 * _HOUR_MS, 32.0), (_OLD_MS, 19.0)]
        assert await store.read(_ALWAYS) == []
        assert await store.latest() == []


async def test_retention_of_rollups_drops_them_too(tmp_path: Path) -> None:
    """Rollups go after their own time, points after theirs."""
    keep = TimeSeriesStore(retention_days=30, rollup_retention_days=35)
    async with DuckDB(tmp_path / "t.duckdb", keep) as store:
        middle_ms = _NOW_MS - 33 * _DAY_MS
        await store.write(_points((_OLD_MS, 1.0), (middle_ms, 2.0), (_NOW_MS, 4.0)))

        await store.tend(_NOW_MS)

        assert await _hours(store) == [(middle_ms, 2.0), (_NOW_MS, 4.0)]


async def test_retention_reopened_goes_on_where_it_was(tmp_path: Path) -> None:
    """A restart neither rolls up twice nor forgets what is past the retention."""
    path = tmp_path / "t.duckdb"
    for start, keep in enumerate((TimeSeriesStore(), _KEEP, _KEEP)):
        async with DuckDB(path, keep) as store:
            await store.write(_points((_OLD_MS + start, 1.0), (_NOW_MS - _DAY_MS, 2.0)))
            await store.tend(_NOW_MS)
            assert await _hours(store) == [(_OLD_MS, start + 1.0), (_NOW_MS - _DAY_MS, 2.0)]
            assert await store.latest() == [Latest(_KEY, _NOW_MS - _DAY_MS, 2.0)]


async def test_retention_survives_a_clock_that_was_far_ahead(tmp_path: Path) -> None:
    """When the clock is set right again, new points are kept and rolled up as before."""
    path = tmp_path / "t.duckdb"
    async with DuckDB(path, _KEEP) as store:
        for _ in range(20):  # it has seen how fast it is: stretches are as long as can be
            await store.tend(_NOW_MS - _DAY_MS)
        await store.write(_points((_NOW_MS - _DAY_MS, 1.0)))
        await store.tend(_NOW_MS + 10_000 * _DAY_MS)

        for minute in range(5):
            await store.write(_points((_NOW_MS + minute * 300_000, 2.0)))
            await store.tend(_NOW_MS + minute * 300_000)

        assert len((await store.read(_ALWAYS))[0].points) == 5
        assert await _hours(store) == [(_NOW_MS - _DAY_MS, 1.0), (_NOW_MS, 10.0)]
    with duckdb.connect(str(path)) as database:
        ((rolled_ms,),) = database.execute("SELECT rolled_ms FROM progress").fetchall()
    assert rolled_ms <= _NOW_MS + _HOUR_MS


async def test_deleted_rows_leave_the_file(tmp_path: Path) -> None:
    """After tending no table has rows of a deleted device, nor its names; ids are not reused."""
    path = tmp_path / "t.duckdb"
    async with DuckDB(path) as store:
        await store.write(_points((_OLD_MS, 1.0), (-(2**62), 1.0), (2**63 - 1, 2.0)))
        await store.tend(_NOW_MS)
        await store.write(_points((_OLD_MS + 1, 1.0)))
        await store.delete("acme")
    async with DuckDB(path) as store:
        await store.write(_points((_OLD_MS, 5.0)))
        assert await _hours(store) == [(_OLD_MS, 5.0)]
        await store.delete("acme")
        await store.tend(_NOW_MS)

    tables = ("series", "points", "states", "rollups_5m", "rollups_1h", "dirty", "gone")
    assert {table: _rows(path, table) for table in tables} == dict.fromkeys(tables, 0)


_TENDER = f"""
import sys, anyio
from pathlib import Path
from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from wire.ids import SeriesKey
from wire.points import PointBatch

async def main():
    keep = TimeSeriesStore(retention_days=30)
    async with DuckDB(Path(sys.argv[1]), keep) as store:
        async def tend():
            for round in range(1000):
                await store.tend({_NOW_MS} + round * 300_000)
        async def write():
            for row in range(100_000):
                keys = [SeriesKey("acme", f"d{{i}}", "t") for i in range(10)]
                times = [{_OLD_MS} + (row * 7919 % 3000) * 20 * 60_000 + row] * 10
                await store.write(PointBatch(keys, times, [1.0] * 10))
                if row % 40 == 20:
                    await store.delete("acme", "d9")
                print(row, flush=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tend)
            tasks.start_soon(write)

anyio.run(main)
"""


@pytest.mark.parametrize("rows", [3, 47, 150])
async def test_tend_killed_leaves_a_file_that_adds_up(tmp_path: Path, rows: int) -> None:
    """`kill -9` amid writes, deletions and tends: nothing confirmed is missing or counted twice."""
    path = tmp_path / "t.duckdb"
    command = [sys.executable, "-c", _TENDER, str(path)]

    last = int(kill_when_it_says(command, lambda line: int(line) >= rows)[-1])

    async with DuckDB(path, _KEEP) as store:
        await store.tend(_NOW_MS)
        once = await _counts(store)
        await store.tend(_NOW_MS)
        twice = await _counts(store)
    assert once == twice
    assert all(last + 1 <= once[f"d{device}"] <= last + 2 for device in range(9))
    assert once.get("d9", 0) <= last + 2


async def _counts(store: DuckDB) -> dict[str, int]:
    """Return how many points each device has or had: every one counts once in an hour."""
    query = SeriesQuery(0, 2**62, step_ms=_HOUR_MS, aggregate="count")
    return {
        series.key.device: sum(int(value) for _, value in series.points)
        for series in await store.read(query)
    }


@pytest.mark.parametrize(("points", "rollups"), [(None, 5), (10, 9)])
def test_retention_of_rollups_is_not_shorter(points: int | None, rollups: int) -> None:
    """Rollups that go before their points are a mistake in the configuration."""
    settings = TimeSeriesStore(retention_days=points, rollup_retention_days=rollups)

    with pytest.raises(Misconfigured, match="rollup_retention_days"):
        check_retention(settings)
