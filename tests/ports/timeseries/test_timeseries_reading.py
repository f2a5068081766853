"""What every store of telemetry answers: ranges, names, steps, pages."""

import pytest

from cloud.timeseries.port import (
    Aggregate,
    Page,
    Place,
    Series,
    SeriesQuery,
    TimeSeries,
)
from tests.ports.timeseries.points import ALWAYS, batch_of, key
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio


async def test_store_range_includes_its_start_only(any_store: TimeSeries) -> None:
    """`from_ms` is in, `to_ms` is out."""
    await any_store.write(batch_of(*((key("t"), ts_ms, float(ts_ms)) for ts_ms in (10, 20, 30))))

    found = await any_store.read(SeriesQuery(10, 30))

    assert found == [Series(key("t"), [(10, 10.0), (20, 20.0)])]
    assert await any_store.read(SeriesQuery(31, 100)) == []
    assert await any_store.read(SeriesQuery(30, 30)) == []


async def test_store_finds_by_tenant_device_and_metric(any_store: TimeSeries) -> None:
    """Each name narrows; names that nobody has find nothing."""
    keys = [key(m, d, t) for t in ("acme", "b") for d in ("pump", "fan") for m in ("t", "u")]
    await any_store.write(batch_of(*((key, 10, 1.0) for key in keys)))

    async def found(tenant: str | None, device: str | None, metric: str | None) -> list[SeriesKey]:
        query = SeriesQuery(0, 99, tenant, device, metric)
        return [series.key for series in await any_store.read(query)]

    assert await found(None, None, None) == sorted(keys)
    assert await found("acme", None, "t") == [key("t", "fan"), key("t", "pump")]
    assert await found("b", "fan", "u") == [key("u", "fan", "b")]
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
    await any_store.write(batch_of(*((key("t"), ts_ms, value) for ts_ms, value in numbers)))
    await any_store.write(
        batch_of((key("t"), 110, "text"), (key("t"), 210, True), (key("u"), 1, "x"))
    )

    query = SeriesQuery(0, 1000, step_ms=100, aggregate=aggregate)

    steps: list[tuple[int, Value]] = list(zip([100, 300], expected, strict=True))
    assert await any_store.read(query) == [Series(key("t"), steps)]


async def test_store_steps_are_aligned_also_before_1970(any_store: TimeSeries) -> None:
    """Steps begin at multiples of their length, and only points of the range count."""
    await any_store.write(batch_of((key("t"), -1, 1.0), (key("t"), 5, 2.0), (key("t"), 17, 3.0)))

    found = await any_store.read(SeriesQuery(-10, 17, step_ms=10))

    assert found == [Series(key("t"), [(-10, 1.0), (0, 2.0)])]


async def test_store_limit_bounds_points_in_all(any_store: TimeSeries) -> None:
    """The limit cuts at the end of the whole answer, across series and kinds."""
    points: list[tuple[SeriesKey, int, Value]] = [
        (key("a"), 10, 1.0),
        (key("a"), 20, "x"),
        (key("a"), 30, 3.0),
        (key("b"), 10, 4.0),
        (key("b"), 20, 5.0),
    ]
    await any_store.write(batch_of(*points))

    found = await any_store.read(ALWAYS, limit=4)

    assert found == [
        Series(key("a"), [(10, 1.0), (20, "x"), (30, 3.0)]),
        Series(key("b"), [(10, 4.0)]),
    ]
    stepped = await any_store.read(SeriesQuery(0, 100, step_ms=10), limit=3)
    assert [len(series.points) for series in stepped] == [2, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 9])
async def test_store_pages_join_to_the_whole(store: TimeSeries, limit: int) -> None:
    """Each point of the range comes once, also those of one time, whatever is stored meanwhile."""
    kinds: list[Value] = [1.0, "x", 2.0, True]
    batch = batch_of((key("a"), -1, 0.0), (key("c"), 99, 0.0), (key("c"), 7, "c"))
    for order, value in enumerate(kinds):
        batch.append(key("a"), 10, value, order=order)
        batch.append(key("b"), 10, value, order=order)
    await store.write(batch)
    found: list[tuple[SeriesKey, int, Value]] = []
    start: Place | None = None

    for _ in range(9):
        page = await store.page(SeriesQuery(0, 99), limit=limit, start=start)
        points = [(key, ts_ms, value) for key, points in page.series for ts_ms, value in points]
        assert len(points) <= limit
        found += points
        await store.write(batch_of((key("a", "aa"), 10, 5.0), (key("a"), 1, 5.0)))
        if page.next is None:
            break
        start = page.next

    same_time = [(key(metric), 10, value) for metric in "ab" for value in kinds]
    assert found == [*same_time, (key("c"), 7, "c")]


async def test_store_page_may_begin_at_what_is_not_there(any_store: TimeSeries) -> None:
    """A place is between points as well as at one, and in a series that nobody has."""
    keys = [key("a"), key("c")]
    await any_store.write(PointBatch(keys * 2, [10, 10, 20, 20], [1.0] * 4))

    places = [
        Place(key("a"), 10, 1),
        Place(key("b"), 50, 0),
        Place(key("c"), 21, 0),
        Place(key("d"), 0, 0),
    ]
    pages = [await any_store.page(SeriesQuery(0, 99), limit=9, start=place) for place in places]

    assert [[len(one.points) for one in page.series] for page in pages] == [[1, 2], [2], [], []]
    assert [page.next for page in pages] == [None] * 4
    assert await any_store.page(SeriesQuery(5, 5), limit=9) == Page([], None)
