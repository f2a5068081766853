"""VictoriaMetrics as a store: it says yes to nearly everything, so what it drops is refused."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cloud.settings import TimeSeriesStore
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import (
    Aggregate,
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
    StoreAway,
    TimeSeries,
)
from cloud.timeseries.servers.address import parse_address
from cloud.timeseries.servers.http import Http
from cloud.timeseries.victoria.recent import Recent
from cloud.timeseries.victoria.store import Victoria as Victoriametrics
from tests.support.names import device_names, names
from tests.support.victoria import Settled, Victoria, victoria_program
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_ALWAYS = SeriesQuery(-(2**62), 2**62)
_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_DAY_MS = 86_400_000

_keys = st.builds(SeriesKey, device_names, device_names, names)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
_values = st.one_of(st.integers(-(10**12), 10**12).map(float), st.booleans(), _texts)


@pytest.fixture
async def store(victoria: Victoria, victoria_url: str) -> AsyncIterator[TimeSeries]:
    """Open a store on a name of its own."""
    async with open_timeseries(Secret(victoria_url), data_dir=Path()) as opened:
        yield Settled(opened, victoria)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(_keys, _values, min_size=1, max_size=12))
def test_victoria_returns_any_name(victoria: Victoria, points: dict[SeriesKey, Value]) -> None:
    """Every valid tenant, device and metric, texts and booleans, read whole and as the latest."""

    async def round_trip() -> None:
        url = Secret(victoria.url(f"test_{time.time_ns()}"))
        async with open_timeseries(url, data_dir=Path()) as opened:
            store = Settled(opened, victoria)
            await store.write(PointBatch(list(points), [5] * len(points), list(points.values())))

            found = await store.read(_ALWAYS)
            latest = await store.latest()

        expected = [Series(key, [(5, points[key])]) for key in sorted(points)]
        assert found == expected
        assert [type(s.points[0][1]) for s in found] == [type(points[s.key]) for s in found]
        assert latest == [Latest(key, 5, points[key]) for key in sorted(points)]

    anyio.run(round_trip)


async def test_victoria_doubles_count_once(store: TimeSeries) -> None:
    """A redelivered batch changes no reading and no aggregate, although the server keeps both."""
    batch = PointBatch([_KEY] * 4, [0, 10, 20, 110], [1.0, 2.0, 2.0, "on"])
    for _ in range(3):
        await store.write(batch)

    whole = await store.read(_ALWAYS)
    aggregates = {
        aggregate: (await store.read(SeriesQuery(0, 200, step_ms=100, aggregate=aggregate)))
        for aggregate in _aggregates()
    }

    assert whole == [Series(_KEY, [(0, 1.0), (10, 2.0), (20, 2.0), (110, "on")])]
    assert {name: found[0].points for name, found in aggregates.items()} == {
        "mean": [(0, 5 / 3)],
        "min": [(0, 1.0)],
        "max": [(0, 2.0)],
        "last": [(0, 2.0)],
        "sum": [(0, 5.0)],
        "count": [(0, 3.0)],
    }


@pytest.mark.parametrize("how", ["here", "there"])
async def test_victoria_aggregates_are_the_same_here_and_there(tmp_path: Path, how: str) -> None:
    """With doubles in some steps, which the server drops or not, and at the range's ragged ends."""
    flags = ["-dedup.minScrapeInterval=1ms"] if how == "there" else []
    points = [(i * 7, float(i % 13)) for i in range(3_000)]
    memory = Secret("memory:")
    with Victoria(victoria_program(), folder=tmp_path, flags=flags) as server:
        async with (
            open_timeseries(Secret(server.url("")), data_dir=Path()) as opened,
            open_timeseries(memory, data_dir=Path()) as reference,
        ):
            store = Settled(opened, server)
            batch = PointBatch([_KEY] * 3_000, [ts for ts, _ in points], [v for _, v in points])
            for one in (store, reference):
                await one.write(batch)
            for first, stop in ((400, 450), (1_000, 1_001), (2_990, 3_000)):
                await store.write(PointBatch.of(batch.rows.part(first, stop)))

            for aggregate in _aggregates():
                query = SeriesQuery(55, 20_033, step_ms=100, aggregate=aggregate)
                [found], [expected] = await store.read(query), await reference.read(query)
                assert [ts for ts, _ in found.points] == [ts for ts, _ in expected.points]
                assert [v for _, v in found.points] == pytest.approx(
                    [v for _, v in expected.points]
                )


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_victoria_pages_join_to_the_whole(store: TimeSeries, limit: int) -> None:
    """Also where several values stand at one millisecond; their order is that of the values."""
    other = _KEY._replace(metric=MetricName("u"))
    await store.write(PointBatch([_KEY] * 5, [1, 5, 5, 5, 9], [0.0, 3.0, 1.0, 2.0, 4.0]))
    await store.write(PointBatch([other] * 2, [5, 5], ["a", 7.0]))
    found: list[tuple[int, Value]] = []
    start: Place | None = None

    for _ in range(8):
        page = await store.page(_ALWAYS, limit=limit, start=start)
        found += [point for series in page.series for point in series.points]
        start = page.next
        if start is None:
            break

    assert found[:5] == [(1, 0.0), (5, 1.0), (5, 2.0), (5, 3.0), (9, 4.0)]
    assert found[5:] == [(5, 7.0), (5, "a")]


async def test_victoria_pages_part_a_millisecond_by_all_its_values(store: TimeSeries) -> None:
    """Also where the server's own portion of 10,000 ends among them, in an order of its own."""
    times_ms = [*range(9_998), 9_998, 9_998, 9_998]
    values: list[Value] = [*[0.0] * 9_998, 5.0, 7.0, 3.0]
    await store.write(PointBatch([_KEY] * 10_001, times_ms, values))

    first = await store.page(_ALWAYS, limit=9_999)
    second = await store.page(_ALWAYS, limit=9_999, start=first.next)

    assert first.series[0].points[-2:] == [(9_997, 0.0), (9_998, 3.0)]
    assert second == Page([Series(_KEY, [(9_998, 5.0), (9_998, 7.0)])], None)


async def test_victoria_refuses_what_it_would_drop(tmp_path: Path) -> None:
    """Too old, too far ahead, too long a text: named, and everything else is stored."""
    now_ms = time.time_ns() // 1_000_000
    times_ms = [now_ms, now_ms - 40 * _DAY_MS, now_ms + 3 * _DAY_MS, now_ms + 1, now_ms + 2]
    values: list[Value] = [1.0, 2.0, 3.0, "x" * 20_000, 5.0]
    with Victoria(victoria_program(), folder=tmp_path, retention="30d") as server:
        async with open_timeseries(Secret(server.url("")), data_dir=Path()) as store:
            with pytest.raises(PointsRejected) as refused:
                await store.write(PointBatch([_KEY] * 5, times_ms, values))
            server.flush()
            found = await store.read(_ALWAYS)
        async with httpx.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"{server.http_url}/metrics")).text

    assert sorted(refused.value.readings) == [1, 2, 3]
    assert "-retentionPeriod" in refused.value.readings[1]
    assert found == [Series(_KEY, [(now_ms, 1.0), (now_ms + 2, 5.0)])]
    assert 'vm_rows_ignored_total{reason="small_timestamp"} 0' in metrics
    assert 'vm_rows_ignored_total{reason="big_timestamp"} 0' in metrics


async def test_victoria_that_keeps_otherwise_than_it_should_is_told_of(victoria: Victoria) -> None:
    """Only its own flag can set a retention: that is said once, with the flag."""
    url = Secret(victoria.url(""))
    with capture_logs() as lines:
        async with open_timeseries(
            url, data_dir=Path(), settings=TimeSeriesStore(retention_days=30)
        ) as store:
            await store.tend(0)
            await store.tend(60_000)

    told = [line for line in lines if line["event"] == "timeseries.retention_differs"]
    assert [line["reason"] for line in told] == ["start VictoriaMetrics with -retentionPeriod=30d"]


async def test_victoria_names_keep_installations_apart(victoria: Victoria) -> None:
    """Two on one server see and delete nothing of each other, also when one has no name."""
    urls = [Secret(victoria.url(name)) for name in ("", "apart")]
    async with (
        open_timeseries(urls[0], data_dir=Path()) as first,
        open_timeseries(urls[1], data_dir=Path()) as second,
    ):
        stores = [Settled(first, victoria), Settled(second, victoria)]
        for number, store in enumerate(stores):
            await store.write(PointBatch([_KEY], [1], [float(number)]))
        await stores[0].delete("acme")

        assert await stores[0].read(_ALWAYS) == []
        assert await stores[1].read(_ALWAYS) == [Series(_KEY, [(1, 1.0)])]


async def test_victoria_is_found_behind_an_influx_url_too(victoria: Victoria) -> None:
    """The scheme does not matter: what answers is asked."""
    url = victoria.url("by_influx").replace("victoria:", "influx:")
    async with open_timeseries(Secret(url), data_dir=Path()) as opened:
        store = Settled(opened, victoria)
        await store.write(PointBatch([_KEY], [1], [1.0]))

        assert await store.read(_ALWAYS) == [Series(_KEY, [(1, 1.0)])]


async def test_victoria_killed_and_back(tmp_path: Path) -> None:
    """It is away while it is gone; afterwards it goes on where it was."""
    with Victoria(victoria_program(), folder=tmp_path) as server:
        async with open_timeseries(Secret(server.url("x")), data_dir=Path()) as opened:
            store = Settled(opened, server)
            await store.write(PointBatch([_KEY], [1], [1.0]))
            server.flush()
            server.stop()
            with pytest.raises(StoreAway):
                await store.write(PointBatch([_KEY], [2], [2.0]))
            server.start()
            await store.write(PointBatch([_KEY], [2], [2.0]))

            assert await store.read(_ALWAYS) == [Series(_KEY, [(1, 1.0), (2, 2.0)])]


@pytest.mark.parametrize("seen_by", ["write", "tend"])
async def test_victoria_killed_loses_nothing_of_what_it_took(tmp_path: Path, seen_by: str) -> None:
    """It has no log; what it took just before it was killed is sent again once it is back."""
    now_ms = time.time_ns() // 1_000_000
    with Victoria(victoria_program(), folder=tmp_path) as server:
        async with open_timeseries(Secret(server.url("x")), data_dir=Path()) as store:
            for index in range(5):
                await store.write(PointBatch([_KEY], [now_ms + index], [float(index)]))
            await anyio.sleep(1.1)  # its start is told in seconds
            server.kill()
            server.start()

            if seen_by == "write":
                await store.write(PointBatch([_KEY], [now_ms + 5], [5.0]))
            else:
                await store.tend(0)
            server.flush()
            [found] = await store.read(_ALWAYS)

    assert [ts - now_ms for ts, _ in found.points][:5] == [0, 1, 2, 3, 4]


async def test_victoria_away_for_long_loses_nothing_of_what_it_took(tmp_path: Path) -> None:
    """However long it was gone, and also when it dies once more right after it was sent again."""
    now_ms = time.time_ns() // 1_000_000
    with Victoria(victoria_program(), folder=tmp_path) as server:
        async with Http(parse_address(Secret(server.url("x")))) as http:
            store = Victoriametrics(http, keep_days=None, recent=Recent(keep_s=2))
            await store.write(PointBatch([_KEY], [now_ms], [0.0]))
            for index in (1, 2):
                await anyio.sleep(1.1)  # its start is told in seconds
                server.kill()
                await anyio.sleep(2)
                server.start()
                await store.write(PointBatch([_KEY], [now_ms + index], [float(index)]))
            server.flush()
            [found] = await store.read(_ALWAYS)
            await store.aclose()

    assert [ts - now_ms for ts, _ in found.points] == [0, 1, 2]


async def test_victoria_killed_brings_back_nothing_that_was_deleted(tmp_path: Path) -> None:
    """What is sent again once it is back is deleted again, and what came afterwards is there."""
    now_ms = time.time_ns() // 1_000_000
    with Victoria(victoria_program(), folder=tmp_path) as server:
        async with open_timeseries(Secret(server.url("x")), data_dir=Path()) as store:
            await store.write(PointBatch([_KEY], [now_ms], [0.0]))
            await store.delete("acme")
            await store.write(PointBatch([_KEY], [now_ms + 1], [1.0]))
            await anyio.sleep(1.1)  # its start is told in seconds
            server.kill()
            server.start()

            await store.write(PointBatch([_KEY], [now_ms + 2], [2.0]))
            server.flush()

            assert await store.read(_ALWAYS) == [
                Series(_KEY, [(now_ms + 1, 1.0), (now_ms + 2, 2.0)])
            ]


async def test_victoria_deletes_what_it_took_just_before(
    victoria: Victoria, victoria_url: str
) -> None:
    """Also a series that does not show yet."""
    now_ms = time.time_ns() // 1_000_000
    async with open_timeseries(Secret(victoria_url), data_dir=Path()) as store:
        await store.write(PointBatch([_KEY], [now_ms], [0.0]))
        await store.delete("acme", "pump")
        victoria.flush()

        assert await store.read(_ALWAYS) == []


async def test_victoria_leaves_out_what_is_not_ours(tmp_path: Path) -> None:
    """Series of our names that others write are no points of ours, and break no answer."""
    line = (
        b'{"metric":{"__name__":"telemetry","job":"x"},"values":[1],"timestamps":[1600000000000]}'
    )
    with Victoria(victoria_program(), folder=tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.http_url, trust_env=False) as client:
            await client.post("/api/v1/import", content=line)
        async with open_timeseries(Secret(server.url("")), data_dir=Path()) as opened:
            store = Settled(opened, server)
            await store.write(PointBatch([_KEY], [1], [1.0]))

            found = [await store.read(_ALWAYS), await store.read(SeriesQuery(0, 10, step_ms=10))]
            latest = await store.latest()

    assert found == [[Series(_KEY, [(1, 1.0)])], [Series(_KEY, [(0, 1.0)])]]
    assert latest == [Latest(_KEY, 1, 1.0)]


def test_victoria_recent_is_bounded() -> None:
    """By age when told to, and by bytes: then the oldest go, and that is counted."""
    recent = Recent(keep_s=10, most_bytes=10)

    for second in (0, 5, 11):
        recent.add(b"%d" % second, second)
    recent.forget(11)
    by_age = recent.taken()
    recent.add(b"x" * 8, 12)

    assert (by_age, recent.taken(), recent.cut_short) == ([b"5", b"11"], [b"11", b"x" * 8], 1)


def _aggregates() -> tuple[Aggregate, ...]:
    return ("mean", "min", "max", "last", "sum", "count")
