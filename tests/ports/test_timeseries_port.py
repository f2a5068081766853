"""What every store of telemetry promises (`cloud.timeseries.port`), on each adapter."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

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
    TimeSeries,
)
from tests.support.victoria import Settled
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_ALWAYS = SeriesQuery(-(2**62), 2**62)
_DAY_MS = 24 * 60 * 60_000
_NOW_MS = 20_000 * _DAY_MS


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


def _key(metric: str, device: str = "pump", tenant: str = "acme") -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


def _batch(*points: tuple[SeriesKey, int, Value]) -> PointBatch:
    batch = PointBatch()
    for key, ts_ms, value in points:
        batch.append(key, ts_ms, value)
    return batch


async def test_store_returns_what_it_was_given(any_store: TimeSeries) -> None:
    """Numbers, texts and booleans of any name come back exactly, in order of key and time."""
    names = ["t", "Ω°C", "a'b\"c\\d", "with space", "日本", "%_*;--", "x" * 120, "NULL", "{b}"]
    values: list[Value] = [21.0, "1.5", True, False, "", "ü\n\x00", -0.1, 1e308, 2.5e-9]
    points = [(_key(name), 10, value) for name, value in zip(names, values, strict=True)]

    await any_store.write(_batch(*points))

    expected = [Series(key, [(ts_ms, value)]) for key, ts_ms, value in sorted(points)]
    found = await any_store.read(_ALWAYS)
    assert found == expected
    kinds = [type(series.points[0][1]) for series in found]
    assert kinds == [type(value) for _, _, value in sorted(points)]


async def test_store_returns_the_smallest_number(store: TimeSeries) -> None:
    """Floats come back to the last bit; VictoriaMetrics keeps decimals, and has not the least."""
    await store.write(_batch((_key("t"), 10, 5e-324), (_key("t"), 20, 1e308)))

    assert await store.read(_ALWAYS) == [Series(_key("t"), [(10, 5e-324), (20, 1e308)])]


async def test_store_same_point_again_replaces(store: TimeSeries) -> None:
    """The same series and time twice is one point: the one that came last."""
    await store.write(_batch((_key("t"), 10, 1.0), (_key("t"), 20, 2.0)))
    await store.write(_batch((_key("t"), 10, 1.0), (_key("t"), 20, 3.0)))

    assert await store.read(_ALWAYS) == [Series(_key("t"), [(10, 1.0), (20, 3.0)])]


async def test_store_same_point_in_one_batch_replaces(store: TimeSeries) -> None:
    """Inside a batch the last of equal points wins, also when its kind differs."""
    await store.write(_batch((_key("t"), 10, 1.0), (_key("t"), 10, "off"), (_key("u"), 10, True)))
    await store.write(_batch((_key("u"), 20, "a"), (_key("u"), 20, 2.0)))

    assert await store.read(_ALWAYS) == [
        Series(_key("t"), [(10, "off")]),
        Series(_key("u"), [(10, True), (20, 2.0)]),
    ]


@pytest.mark.parametrize("flip", list(itertools.permutations([1.0, "on", True], 2)))
async def test_store_type_may_change(store: TimeSeries, flip: tuple[Value, Value]) -> None:
    """A series may change its type from point to point, and a point its type when replaced."""
    before, after = flip

    await store.write(_batch((_key("t"), 10, before), (_key("t"), 20, before)))
    await store.write(_batch((_key("t"), 20, after), (_key("t"), 30, after)))

    found = await store.read(_ALWAYS)
    assert found == [Series(_key("t"), [(10, before), (20, after), (30, after)])]
    assert await store.latest() == [Latest(_key("t"), 30, after)]


async def test_store_keeps_points_of_the_same_time_apart(store: TimeSeries) -> None:
    """Points of one series and time but different orders all stay, in the order of these."""
    batch = _batch((_key("t"), 9, 0.0), (_key("t"), 10, 1.0))
    for order, value in ((7, 30.0), (2**63 - 1, "last"), (3, 10.0), (5, True)):
        batch.append(_key("t"), 10, value, order=order)

    await store.write(batch)
    await store.write(batch)

    points: list[tuple[int, Value]] = [(9, 0.0)]
    points += [(10, value) for value in (1.0, 10.0, True, 30.0, "last")]
    assert await store.read(_ALWAYS) == [Series(_key("t"), points)]
    assert await store.latest() == [Latest(_key("t"), 10, "last")]


async def test_store_same_order_again_replaces_only_that_point(store: TimeSeries) -> None:
    """Of points of the same time the one of the same order is replaced, whatever its kind."""
    for order, value in ((1, 10.0), (2, 20.0), (3, 30.0), (2, "two"), (3, 33.0)):
        await store.write(PointBatch([_key("t")], [10], [value], [order]))

    assert await store.read(_ALWAYS) == [Series(_key("t"), [(10, 10.0), (10, "two"), (10, 33.0)])]
    assert await store.latest() == [Latest(_key("t"), 10, 33.0)]


async def test_store_sorts_points_of_the_same_time_by_order(store: TimeSeries) -> None:
    """However they came: read whole, cut, and in pages."""
    for order in (3, 1, 2):
        await store.write(PointBatch([_key("t")], [10], [float(order)], [order]))

    whole = await store.read(_ALWAYS)
    cut = await store.read(_ALWAYS, limit=2)
    page = await store.page(_ALWAYS, limit=2)

    assert whole == [Series(_key("t"), [(10, 1.0), (10, 2.0), (10, 3.0)])]
    assert cut == page.series == [Series(_key("t"), [(10, 1.0), (10, 2.0)])]
    assert page.next == Place(_key("t"), 10, 3)


async def test_store_last_of_a_step_goes_by_order_too(store: TimeSeries) -> None:
    """Of the newest points of a step the one of the highest order is its last; all count."""
    await store.write(PointBatch([_key("t")] * 4, [5, 5, 5, 1], [3.0, 9.0, 4.0, 8.0], [2, 3, 1, 9]))

    last = await store.read(SeriesQuery(0, 10, step_ms=10, aggregate="last"))
    count = await store.read(SeriesQuery(0, 10, step_ms=10, aggregate="count"))

    assert [last[0].points, count[0].points] == [[(0, 9.0)], [(0, 4.0)]]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 9])
async def test_store_pages_join_to_the_whole(store: TimeSeries, limit: int) -> None:
    """Each point of the range comes once, also those of one time, whatever is stored meanwhile."""
    kinds: list[Value] = [1.0, "x", 2.0, True]
    batch = _batch((_key("a"), -1, 0.0), (_key("c"), 99, 0.0), (_key("c"), 7, "c"))
    for order, value in enumerate(kinds):
        batch.append(_key("a"), 10, value, order=order)
        batch.append(_key("b"), 10, value, order=order)
    await store.write(batch)
    found: list[tuple[SeriesKey, int, Value]] = []
    start: Place | None = None

    for _ in range(9):
        page = await store.page(SeriesQuery(0, 99), limit=limit, start=start)
        points = [(key, ts_ms, value) for key, points in page.series for ts_ms, value in points]
        assert len(points) <= limit
        found += points
        await store.write(_batch((_key("a", "aa"), 10, 5.0), (_key("a"), 1, 5.0)))
        if page.next is None:
            break
        start = page.next

    same_time = [(_key(metric), 10, value) for metric in "ab" for value in kinds]
    assert found == [*same_time, (_key("c"), 7, "c")]


async def test_store_page_may_begin_at_what_is_not_there(any_store: TimeSeries) -> None:
    """A place is between points as well as at one, and in a series that nobody has."""
    keys = [_key("a"), _key("c")]
    await any_store.write(PointBatch(keys * 2, [10, 10, 20, 20], [1.0] * 4))

    places = [
        Place(_key("a"), 10, 1),
        Place(_key("b"), 50, 0),
        Place(_key("c"), 21, 0),
        Place(_key("d"), 0, 0),
    ]
    pages = [await any_store.page(SeriesQuery(0, 99), limit=9, start=place) for place in places]

    assert [[len(one.points) for one in page.series] for page in pages] == [[1, 2], [2], [], []]
    assert [page.next for page in pages] == [None] * 4
    assert await any_store.page(SeriesQuery(5, 5), limit=9) == Page([], None)


async def test_store_points_may_come_out_of_order(any_store: TimeSeries) -> None:
    """Points older than the newest are kept in their place; latest goes by the point's time."""
    await any_store.write(_batch((_key("t"), 50, 5.0)))
    await any_store.write(_batch((_key("t"), 30, 3.0), (_key("t"), 10, 1.0), (_key("t"), 40, 4.0)))

    points: list[tuple[int, Value]] = [(10, 1.0), (30, 3.0), (40, 4.0), (50, 5.0)]
    assert await any_store.read(_ALWAYS) == [Series(_key("t"), points)]
    assert await any_store.latest() == [Latest(_key("t"), 50, 5.0)]


async def test_store_range_includes_its_start_only(any_store: TimeSeries) -> None:
    """`from_ms` is in, `to_ms` is out."""
    await any_store.write(_batch(*((_key("t"), ts_ms, float(ts_ms)) for ts_ms in (10, 20, 30))))

    found = await any_store.read(SeriesQuery(10, 30))

    assert found == [Series(_key("t"), [(10, 10.0), (20, 20.0)])]
    assert await any_store.read(SeriesQuery(31, 100)) == []
    assert await any_store.read(SeriesQuery(30, 30)) == []


async def test_store_finds_by_tenant_device_and_metric(any_store: TimeSeries) -> None:
    """Each name narrows; names that nobody has find nothing."""
    keys = [_key(m, d, t) for t in ("acme", "b") for d in ("pump", "fan") for m in ("t", "u")]
    await any_store.write(_batch(*((key, 10, 1.0) for key in keys)))

    async def found(tenant: str | None, device: str | None, metric: str | None) -> list[SeriesKey]:
        query = SeriesQuery(0, 99, tenant, device, metric)
        return [series.key for series in await any_store.read(query)]

    assert await found(None, None, None) == sorted(keys)
    assert await found("acme", None, "t") == [_key("t", "fan"), _key("t", "pump")]
    assert await found("b", "fan", "u") == [_key("u", "fan", "b")]
    assert await found("nobody", None, None) == []
    assert [one.key for one in await any_store.latest("b")] == sorted(keys)[4:]
    assert [one.key for one in await any_store.latest("b", "fan")] == sorted(keys)[4:6]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("mean", [2.0, 30.0]),
        ("min", [1.0, 30.0]),
        ("max", [3.0, 30.0]),
        ("last", [2.0, 30.0]),
        ("sum", [6.0, 30.0]),
        ("count", [3.0, 1.0]),
    ],
)
async def test_store_aggregates_steps(
    any_store: TimeSeries, aggregate: Aggregate, expected: list[float]
) -> None:
    """One point for each step with numbers, at the step's start; texts and booleans are out."""
    numbers = [(100, 1.0), (150, 3.0), (199, 2.0), (300, 30.0)]
    await any_store.write(_batch(*((_key("t"), ts_ms, value) for ts_ms, value in numbers)))
    await any_store.write(
        _batch((_key("t"), 110, "text"), (_key("t"), 210, True), (_key("u"), 1, "x"))
    )

    query = SeriesQuery(0, 1000, step_ms=100, aggregate=aggregate)

    steps: list[tuple[int, Value]] = list(zip([100, 300], expected, strict=True))
    assert await any_store.read(query) == [Series(_key("t"), steps)]


async def test_store_steps_are_aligned_also_before_1970(any_store: TimeSeries) -> None:
    """Steps begin at multiples of their length, and only points of the range count."""
    await any_store.write(_batch((_key("t"), -1, 1.0), (_key("t"), 5, 2.0), (_key("t"), 17, 3.0)))

    found = await any_store.read(SeriesQuery(-10, 17, step_ms=10))

    assert found == [Series(_key("t"), [(-10, 1.0), (0, 2.0)])]


async def test_store_limit_bounds_points_in_all(any_store: TimeSeries) -> None:
    """The limit cuts at the end of the whole answer, across series and kinds."""
    points: list[tuple[SeriesKey, int, Value]] = [
        (_key("a"), 10, 1.0),
        (_key("a"), 20, "x"),
        (_key("a"), 30, 3.0),
        (_key("b"), 10, 4.0),
        (_key("b"), 20, 5.0),
    ]
    await any_store.write(_batch(*points))

    found = await any_store.read(_ALWAYS, limit=4)

    assert found == [
        Series(_key("a"), [(10, 1.0), (20, "x"), (30, 3.0)]),
        Series(_key("b"), [(10, 4.0)]),
    ]
    stepped = await any_store.read(SeriesQuery(0, 100, step_ms=10), limit=3)
    assert [len(series.points) for series in stepped] == [2, 1]


@pytest.mark.parametrize("bad", [(2**63, 1.0), (10, float("nan")), (10, float("inf"))])
async def test_store_rejects_a_batch_whole(any_store: TimeSeries, bad: tuple[int, float]) -> None:
    """What can never be stored is refused, and nothing beside it is stored."""
    with pytest.raises(PointsRejected):
        await any_store.write(_batch((_key("t"), 10, 1.0), (_key("u"), *bad)))

    assert await any_store.read(_ALWAYS) == []
    assert await any_store.latest() == []


async def test_store_goes_on_after_a_rejection(any_store: TimeSeries) -> None:
    """A series that a refused batch named first can be stored later."""
    with pytest.raises(PointsRejected):
        await any_store.write(_batch((_key("t"), 2**63, 1.0)))

    await any_store.write(_batch((_key("t"), 10, 1.0)))

    assert await any_store.read(_ALWAYS) == [Series(_key("t"), [(10, 1.0)])]


async def test_store_writes_and_reads_at_once(any_store: TimeSeries) -> None:
    """Concurrent batches all arrive, also while they are read."""
    await _write_and_look(any_store, lambda found: None)

    found = await any_store.read(_ALWAYS)
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
            await store.write(_batch(*((_key(f"m{writer}-{i}"), ts_ms, 1.0) for i in range(5))))

    async def read() -> None:
        for _ in range(20):
            look(await store.read(_ALWAYS))
            await store.ping()

    async with anyio.create_task_group() as tasks:
        for writer in range(3):
            tasks.start_soon(write, writer)
        tasks.start_soon(read)


async def test_store_takes_an_empty_batch(any_store: TimeSeries) -> None:
    """Nothing to store is nothing to complain about."""
    await any_store.write(PointBatch())

    assert await any_store.read(_ALWAYS) == []


async def test_store_deletes_a_device(store: TimeSeries) -> None:
    """Its numbers, texts and newest values go, at once and after tending; others' stay."""
    gone, other, abroad = _key("t"), _key("t", "fan"), _key("t", "pump", "b")
    mode = _key("mode")
    await store.write(_batch((gone, 10, 1.0), (other, 10, 2.0), (abroad, 10, 3.0), (mode, 9, "x")))

    await store.delete("acme", "pump")

    kept = [Series(other, [(10, 2.0)]), Series(abroad, [(10, 3.0)])]
    assert await store.read(_ALWAYS) == kept
    assert [one.key for one in await store.latest()] == [other, abroad]
    await store.tend(_NOW_MS)
    assert await store.read(_ALWAYS) == kept
    assert (await store.page(_ALWAYS, limit=9)).series == kept


async def test_store_deletes_a_tenant(store: TimeSeries) -> None:
    """All its devices go, also out of steps; deleting again, or nobody, is nothing."""
    kept = _key("t", "pump", "b")
    await store.write(_batch((_key("t"), 10, 1.0), (_key("u", "fan"), 10, 2.0), (kept, 10, 3.0)))
    await store.tend(_NOW_MS)

    for tenant, device in (("acme", None), ("acme", None), ("nobody", None), ("b", "nothing")):
        await store.delete(tenant, device)

    assert await store.read(_ALWAYS) == [Series(kept, [(10, 3.0)])]
    steps = SeriesQuery(0, _NOW_MS, step_ms=_DAY_MS)
    assert await store.read(steps) == [Series(kept, [(0, 3.0)])]


async def test_store_takes_what_comes_after_a_deletion(store: TimeSeries) -> None:
    """The same device may write again: old times, the same points, other kinds."""
    await store.write(_batch((_key("t"), 10, 1.0), (_key("t"), 20, 2.0)))
    await store.delete("acme", "pump")

    await store.write(_batch((_key("t"), 10, "new")))

    for _ in range(2):
        assert await store.read(_ALWAYS) == [Series(_key("t"), [(10, "new")])]
        assert await store.latest() == [Latest(_key("t"), 10, "new")]
        await store.tend(_NOW_MS)


async def test_store_writes_while_others_delete_and_tend(store: TimeSeries) -> None:
    """Nothing that was written to another device, or afterwards, is missing."""

    async def write() -> None:
        for ts_ms in range(30):
            await store.write(_batch((_key("t"), ts_ms, 1.0), (_key("t", "fan"), ts_ms, 1.0)))

    async def delete() -> None:
        for _ in range(10):
            await store.delete("acme", "pump")
            await store.tend(_NOW_MS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(delete)
    await store.delete("acme", "pump")
    await store.write(_batch((_key("t"), 5, 5.0)))

    found = {series.key: series.points for series in await store.read(_ALWAYS)}
    assert found[_key("t")] == [(5, 5.0)]
    assert len(found[_key("t", "fan")]) == 30


@pytest.mark.parametrize("store", ["duckdb", "memory"], indirect=True)
async def test_store_without_a_retention_keeps_everything(store: TimeSeries) -> None:
    """Nothing goes by age unless somebody said so."""
    await store.write(_batch((_key("t"), -(2**63), 1.0), (_key("t"), 10, "x")))

    await store.tend(_NOW_MS)

    found = await store.read(SeriesQuery(-(2**63), 2**62))
    assert found == [Series(_key("t"), [(-(2**63), 1.0), (10, "x")])]


async def test_store_drops_points_by_their_age(keeping: TimeSeries) -> None:
    """What is older than is to be kept goes, numbers and texts; a silent series has no latest."""
    old_ms, young_ms = _NOW_MS - 30 * _DAY_MS - 1, _NOW_MS - 30 * _DAY_MS
    silent = _key("silent")
    await keeping.write(_batch((_key("t"), old_ms, 1.0), (_key("t"), young_ms, 2.0)))
    await keeping.write(_batch((silent, old_ms, "on")))
    await keeping.write(_batch((_key("u"), -(2**63), 1.0)))

    await keeping.tend(_NOW_MS)

    assert await keeping.read(_ALWAYS) == [Series(_key("t"), [(young_ms, 2.0)])]
    assert await keeping.latest() == [Latest(_key("t"), young_ms, 2.0)]


async def test_store_series_may_come_back_after_its_points_were_dropped(
    keeping: TimeSeries,
) -> None:
    """A series that was silent for too long is stored, replaced and found as any other."""
    await keeping.write(_batch((_key("t"), _NOW_MS - 40 * _DAY_MS, 1.0)))
    await keeping.tend(_NOW_MS)

    await keeping.write(_batch((_key("t"), _NOW_MS, 2.0)))
    await keeping.write(_batch((_key("t"), _NOW_MS, 3.0)))

    assert await keeping.read(_ALWAYS) == [Series(_key("t"), [(_NOW_MS, 3.0)])]


async def test_store_deletes_a_device_or_a_tenant(any_store: TimeSeries) -> None:
    """What is theirs is gone, numbers and states; nobody else loses anything; twice is no fault."""
    keys = [_key(m, d, t) for t in ("acme", "b c") for d in ("pump", "it's") for m in ("t", "u")]
    await any_store.write(_batch(*((key, 10, 1.0) for key in keys)))
    await any_store.write(_batch(*((key, 20, "on") for key in keys)))

    await any_store.delete("acme", "it's")
    after_device = {series.key for series in await any_store.read(_ALWAYS)}
    await any_store.delete("b c")
    await any_store.delete("b c")
    after_tenant = [series.key for series in await any_store.read(_ALWAYS)]

    assert after_device == {key for key in keys if key[:2] != ("acme", "it's")}
    assert after_tenant == [_key("t"), _key("u")]
    assert [one.key for one in await any_store.latest()] == after_tenant


async def test_store_takes_again_what_was_deleted(any_store: TimeSeries) -> None:
    """A deleted series can be written anew; the old points do not come back."""
    await any_store.write(_batch((_key("t"), 10, 1.0), (_key("t"), 20, "x")))
    await any_store.delete("acme")

    await any_store.write(_batch((_key("t"), 30, 3.0)))

    assert await any_store.read(_ALWAYS) == [Series(_key("t"), [(30, 3.0)])]
