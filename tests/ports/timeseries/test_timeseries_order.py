"""What every store of telemetry does with points of one time, and with late ones."""

import pytest

from cloud.timeseries.port import (
    Latest,
    Place,
    Series,
    SeriesQuery,
    TimeSeries,
)
from tests.ports.timeseries.points import ALWAYS, batch_of, key
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio


async def test_store_keeps_points_of_the_same_time_apart(store: TimeSeries) -> None:
    """Points of one series and time but different orders all stay, in the order of these."""
    batch = batch_of((key("t"), 9, 0.0), (key("t"), 10, 1.0))
    for order, value in ((7, 30.0), (2**63 - 1, "last"), (3, 10.0), (5, True)):
        batch.append(key("t"), 10, value, order=order)

    await store.write(batch)
    await store.write(batch)

    points: list[tuple[int, Value]] = [(9, 0.0)]
    points += [(10, value) for value in (1.0, 10.0, True, 30.0, "last")]
    assert await store.read(ALWAYS) == [Series(key("t"), points)]
    assert await store.latest() == [Latest(key("t"), 10, "last")]


async def test_store_same_order_again_replaces_only_that_point(store: TimeSeries) -> None:
    """Of points of the same time the one of the same order is replaced, whatever its kind."""
    for order, value in ((1, 10.0), (2, 20.0), (3, 30.0), (2, "two"), (3, 33.0)):
        await store.write(PointBatch([key("t")], [10], [value], [order]))

    assert await store.read(ALWAYS) == [Series(key("t"), [(10, 10.0), (10, "two"), (10, 33.0)])]
    assert await store.latest() == [Latest(key("t"), 10, 33.0)]


async def test_store_sorts_points_of_the_same_time_by_order(store: TimeSeries) -> None:
    """However they came: read whole, cut, and in pages."""
    for order in (3, 1, 2):
        await store.write(PointBatch([key("t")], [10], [float(order)], [order]))

    whole = await store.read(ALWAYS)
    cut = await store.read(ALWAYS, limit=2)
    page = await store.page(ALWAYS, limit=2)

    assert whole == [Series(key("t"), [(10, 1.0), (10, 2.0), (10, 3.0)])]
    assert cut == page.series == [Series(key("t"), [(10, 1.0), (10, 2.0)])]
    assert page.next == Place(key("t"), 10, 3)


async def test_store_last_of_a_step_goes_by_order_too(store: TimeSeries) -> None:
    """Of the newest points of a step the one of the highest order is its last; all count."""
    await store.write(PointBatch([key("t")] * 4, [5, 5, 5, 1], [3.0, 9.0, 4.0, 8.0], [2, 3, 1, 9]))

    last = await store.read(SeriesQuery(0, 10, step_ms=10, aggregate="last"))
    count = await store.read(SeriesQuery(0, 10, step_ms=10, aggregate="count"))

    assert [last[0].points, count[0].points] == [[(0, 9.0)], [(0, 4.0)]]


async def test_store_points_may_come_out_of_order(any_store: TimeSeries) -> None:
    """Points older than the newest are kept in their place; latest goes by the point's time."""
    await any_store.write(batch_of((key("t"), 50, 5.0)))
    await any_store.write(batch_of((key("t"), 30, 3.0), (key("t"), 10, 1.0), (key("t"), 40, 4.0)))

    points: list[tuple[int, Value]] = [(10, 1.0), (30, 3.0), (40, 4.0), (50, 5.0)]
    assert await any_store.read(ALWAYS) == [Series(key("t"), points)]
    assert await any_store.latest() == [Latest(key("t"), 50, 5.0)]
