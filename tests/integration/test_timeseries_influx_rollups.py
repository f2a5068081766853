"""Rollups in a real InfluxDB: what outlives points, several processes, kills, odd numbers."""

import secrets
import sys
import time
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.settings import TimeSeriesStore
from cloud.timeseries.influx.rollups.rollups import Keep
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import Aggregate, Series, SeriesQuery, TimeSeries
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import parse_address
from tests.support.influxd import Influxd, influxd_program
from tests.support.names import device_names, names
from tests.support.processes import kill_when_it_says
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_NOW_MS = 20_000 * _DAY_MS
_OLD_MS = _NOW_MS - 40 * _DAY_MS
# Nobody else writes: what is announced need not rest.
_AT_ONCE = Keep(rest_s=0.0)

_keys = st.builds(SeriesKey, device_names, device_names, names)


def _points(*points: tuple[int, float]) -> PointBatch:
    return PointBatch(
        [_KEY] * len(points), [ms for ms, _ in points], [value for _, value in points]
    )


async def _steps(
    store: TimeSeries, aggregate: Aggregate = "sum", *, step_ms: int = _HOUR_MS
) -> list[tuple[int, float]]:
    query = SeriesQuery(0, 2**62, *_KEY, step_ms=step_ms, aggregate=aggregate)
    return [
        (ts_ms, float(value))
        for series in await store.read(query)
        for ts_ms, value in series.points
    ]


async def _ask(influxd: Influxd, url: str, statement: str) -> list[list[object]]:
    """Return the rows of an answer, as the server says it."""
    params = {"db": url.rpartition("/")[2], "q": statement, "epoch": "ms"}
    async with httpx.AsyncClient(base_url=influxd.http_url) as client:
        [result] = (await client.post("/query", params=params)).json()["results"]
    return [row for rows in result.get("series", []) for row in rows["values"]]


async def test_influx_rollups_outlive_their_points(tmp_path: Path) -> None:
    """When the server has dropped the points by age, steps of 5 minutes and of an hour are left."""
    now_ms = time.time_ns() // 1_000_000
    old_ms = (now_ms - 40 * _DAY_MS) // _HOUR_MS * _HOUR_MS
    with Influxd(influxd_program(), folder=tmp_path, drops_every_s=1) as server:
        address = parse_address(Secret(server.url("db")))
        async with open_remote(address, _AT_ONCE) as store:
            await store.write(_points((old_ms, 1.0), (old_ms + 1, 3.0), (now_ms, 9.0)))
            await store.tend(now_ms)
        async with open_remote(address, Keep(30, 400, rest_s=0.0)) as store:
            await store.tend(now_ms)
            await _until_dropped(store, old_ms)

            assert await store.read(SeriesQuery(0, 2**62)) == [Series(_KEY, [(now_ms, 9.0)])]
            hour_ms = now_ms // _HOUR_MS * _HOUR_MS
            assert await _steps(store, "count") == [(old_ms, 2.0), (hour_ms, 1.0)]
            assert (await _steps(store, "last", step_ms=300_000))[0] == (old_ms, 3.0)
            assert await _steps(store, "mean", step_ms=7 * 60_000) == [
                (now_ms // 420_000 * 420_000, 9.0)
            ]


async def _until_dropped(store: TimeSeries, before_ms: int) -> None:
    with anyio.fail_after(60):
        while True:
            if not await store.read(SeriesQuery(0, before_ms + _DAY_MS)):
                return
            await anyio.sleep(0.1)


async def test_influx_rollups_are_kept_as_long_as_they_are_to_be(
    influxd: Influxd, influx_url: str
) -> None:
    """Their policy follows the setting; notes stay for ever, points in the default policy."""
    seen = []
    for days, rollup_days in ((30, None), (30, 400), (5, 10), (None, None)):
        keep = TimeSeriesStore(retention_days=days, rollup_retention_days=rollup_days)
        async with open_timeseries(Secret(influx_url), data_dir=Path(), settings=keep) as store:
            await store.write(_points((time.time_ns() // 1_000_000, 1.0)))
            await store.tend(_NOW_MS)
        rows = await _ask(
            influxd, influx_url, f"SHOW RETENTION POLICIES ON {influx_url.rpartition('/')[2]}"
        )
        seen.append({str(row[0]): row[1:3] for row in rows})

    assert [one["tidegate_rollups"] for one in seen] == [
        ["0s", "672h0m0s"],
        ["9600h0m0s", "672h0m0s"],
        ["240h0m0s", "24h0m0s"],
        ["0s", "672h0m0s"],
    ]
    assert {one["tidegate_notes"][0] for one in seen} == {"0s"}
    assert [one["autogen"][0] for one in seen] == ["720h0m0s", "720h0m0s", "120h0m0s", "120h0m0s"]


async def test_influx_rollups_wait_until_everybody_knows(influx_url: str) -> None:
    """Who does not know yet that there is something to mark behind does no harm."""
    address = parse_address(Secret(influx_url))
    async with open_remote(address) as patient, open_remote(address) as other:
        await patient.write(_points((_OLD_MS, 1.0)))
        await other.write(_points((_OLD_MS + _DAY_MS, 1.0)))
        for _ in range(3):
            await patient.tend(_NOW_MS)
        await other.write(_points((_OLD_MS + 1, 2.0)))
        expected = [(_OLD_MS, 3.0), (_OLD_MS + _DAY_MS, 1.0)]
        assert await _steps(patient) == expected

        async with open_remote(address, _AT_ONCE) as store:
            await store.tend(_NOW_MS)
            assert await _steps(store) == await _steps(other) == expected


async def test_influx_rollups_take_in_what_another_process_writes_late(
    influxd: Influxd, influx_url: str
) -> None:
    """Its mark is seen by all, outlives both, and goes when the hour has been made anew."""
    address = parse_address(Secret(influx_url))
    sums = 'SELECT "sum_sum_t" FROM "tidegate_rollups"."telemetry_1h"'
    async with open_remote(address, _AT_ONCE) as store:
        await store.write(_points((_OLD_MS, 1.0)))
        await store.tend(_NOW_MS)
        async with open_remote(address) as other:
            await other.write(_points((_OLD_MS + 1, 2.0)))
        before = await _ask(influxd, influx_url, sums)
        assert await _steps(store) == [(_OLD_MS, 3.0)]
    async with open_remote(address, _AT_ONCE) as store:
        await store.tend(_NOW_MS)
        after = await _ask(influxd, influx_url, sums)

        assert await _steps(store) == [(_OLD_MS, 3.0)]
    assert (before, after) == ([[_OLD_MS, 1.0]], [[_OLD_MS, 3.0]])
    assert await _ask(influxd, influx_url, 'SHOW SERIES FROM "rollup_marks"') == []


async def test_influx_rollups_follow_a_clock_that_is_set_right(
    influxd: Influxd, influx_url: str
) -> None:
    """After a clock far ahead new points are rolled up as before, and count from the start."""
    async with open_remote(parse_address(Secret(influx_url)), _AT_ONCE) as store:
        await store.write(_points((_NOW_MS - _DAY_MS, 1.0)))
        await store.tend(_NOW_MS + 10_000 * _DAY_MS)
        for hour in range(4):
            await store.write(_points((_NOW_MS + hour * _HOUR_MS, 2.0)))
            await store.tend(_NOW_MS + hour * _HOUR_MS)
            assert len(await _steps(store)) == 2 + hour
    notes = 'SELECT "rolled_ms" FROM "tidegate_notes"."rollup_progress"'
    [[_, rolled_ms]] = await _ask(influxd, influx_url, notes)
    assert rolled_ms == _NOW_MS + 2 * _HOUR_MS


async def test_influx_rollups_bear_sums_that_fit_no_float(influx_url: str) -> None:
    """A device whose sum is infinite costs nobody else's, nor its own other metrics'."""
    big, fan = _KEY._replace(metric=MetricName("big")), _KEY._replace(device=DeviceId("fan"))
    batch = PointBatch([big, big, _KEY, _KEY, fan], [_OLD_MS, _OLD_MS + 1] * 2 + [_OLD_MS],
                       [1e308, 1e308, 1.0, 2.0, 5.0])  # fmt: skip
    async with open_remote(parse_address(Secret(influx_url)), _AT_ONCE) as store:
        await store.write(batch)
        await store.tend(_NOW_MS)

        for step_ms in (_HOUR_MS, 300_000):
            query = SeriesQuery(0, _NOW_MS - _HOUR_MS, step_ms=step_ms, aggregate="sum")
            found = {one.key: one.points for one in await store.read(query)}
            assert found == {
                big: [(_OLD_MS, float("inf"))], _KEY: [(_OLD_MS, 3.0)], fan: [(_OLD_MS, 5.0)]
            }  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(_keys, st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_influx_rolls_up_any_name(influxd: Influxd, points: dict[SeriesKey, float]) -> None:
    """Every valid tenant, device and metric is in the rollups, and late again, by its name."""

    async def run() -> None:
        url = Secret(influxd.url(f"test_{secrets.token_hex(6)}"))
        async with open_remote(parse_address(url), _AT_ONCE) as store:
            await store.write(
                PointBatch(list(points), [_OLD_MS] * len(points), [1.0] * len(points))
            )
            await store.tend(_NOW_MS)
            late = PointBatch(list(points), [_OLD_MS] * len(points), list(points.values()))
            await store.write(late)
            query = SeriesQuery(0, _NOW_MS - _DAY_MS, step_ms=_HOUR_MS, aggregate="last")
            marked = await store.read(query)
            await store.tend(_NOW_MS)
            rolled = await store.read(query)

        expected = [Series(key, [(_OLD_MS, points[key])]) for key in sorted(points)]
        assert marked == rolled == expected

    anyio.run(run)


_TENDER = f"""
import sys, anyio
from cloud.timeseries.influx.rollups.rollups import Keep
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import parse_address
from tidegate.configuration import Secret
from wire.ids import SeriesKey
from wire.points import PointBatch

async def main():
    async with open_remote(parse_address(Secret(sys.argv[1])), Keep(rest_s=0.0)) as store:
        for row in range(100_000):
            keys = [SeriesKey("acme", f"d{{i}}", "t") for i in range(10)]
            times = [{_OLD_MS} + (row * 7919 % 300) * 20 * 60_000 + row] * 10
            await store.write(PointBatch(keys, times, [1.0] * 10))
            print(row, flush=True)
            if row % 3 == 2:
                await store.tend({_NOW_MS} + row * 300_000)

anyio.run(main)
"""


@pytest.mark.parametrize("rows", [3, 17, 41])
async def test_influx_rollups_add_up_after_a_kill(influx_url: str, rows: int) -> None:
    """`kill -9` amid writes and tends: what was confirmed is counted once."""
    command = [sys.executable, "-c", _TENDER, influx_url]

    lines = kill_when_it_says(command, lambda line: line.isdigit() and int(line) >= rows)

    last = max(int(line) for line in lines if line.isdigit())

    async with open_remote(parse_address(Secret(influx_url)), _AT_ONCE) as store:
        query = SeriesQuery(0, 2**62, step_ms=_HOUR_MS, aggregate="count")
        counts = []
        for _ in range(3):
            found = await store.read(query)
            counts.append([sum(float(n) for _, n in one.points) for one in found])
            await store.tend(_NOW_MS + 100 * _DAY_MS)
    assert counts[0] == counts[1] == counts[2]
    assert len(counts[0]) == 10
    assert all(last + 1 <= count <= last + 2 for count in counts[0])
