"""What every store of telemetry keeps of a point: its value, its kind, its place."""

import itertools

import pytest

from cloud.timeseries.port import (
    Latest,
    PointsRejected,
    Series,
    TimeSeries,
)
from tests.ports.timeseries.points import ALWAYS, batch_of, key
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio


async def test_store_returns_what_it_was_given(any_store: TimeSeries) -> None:
    """Numbers, texts and booleans of any name come back exactly, in order of key and time."""
    names = ["t", "Ω°C", "a'b\"c\\d", "with space", "日本", "%_*;--", "x" * 120, "NULL", "{b}"]
    values: list[Value] = [21.0, "1.5", True, False, "", "ü\n\x00", -0.1, 1e308, 2.5e-9]
    points = [(key(name), 10, value) for name, value in zip(names, values, strict=True)]

    await any_store.write(batch_of(*points))

    expected = [Series(key, [(ts_ms, value)]) for key, ts_ms, value in sorted(points)]
    found = await any_store.read(ALWAYS)
    assert found == expected
    kinds = [type(series.points[0][1]) for series in found]
    assert kinds == [type(value) for _, _, value in sorted(points)]


async def test_store_returns_the_smallest_number(store: TimeSeries) -> None:
    """Floats come back to the last bit; VictoriaMetrics keeps decimals, and has not the least."""
    await store.write(batch_of((key("t"), 10, 5e-324), (key("t"), 20, 1e308)))

    assert await store.read(ALWAYS) == [Series(key("t"), [(10, 5e-324), (20, 1e308)])]


async def test_store_same_point_again_replaces(store: TimeSeries) -> None:
    """The same series and time twice is one point: the one that came last."""
    await store.write(batch_of((key("t"), 10, 1.0), (key("t"), 20, 2.0)))
    await store.write(batch_of((key("t"), 10, 1.0), (key("t"), 20, 3.0)))

    assert await store.read(ALWAYS) == [Series(key("t"), [(10, 1.0), (20, 3.0)])]


async def test_store_same_point_in_one_batch_replaces(store: TimeSeries) -> None:
    """Inside a batch the last of equal points wins, also when its kind differs."""
    await store.write(batch_of((key("t"), 10, 1.0), (key("t"), 10, "off"), (key("u"), 10, True)))
    await store.write(batch_of((key("u"), 20, "a"), (key("u"), 20, 2.0)))

    assert await store.read(ALWAYS) == [
        Series(key("t"), [(10, "off")]),
        Series(key("u"), [(10, True), (20, 2.0)]),
    ]


@pytest.mark.parametrize("flip", list(itertools.permutations([1.0, "on", True], 2)))
async def test_store_type_may_change(store: TimeSeries, flip: tuple[Value, Value]) -> None:
    """A series may change its type from point to point, and a point its type when replaced."""
    before, after = flip

    await store.write(batch_of((key("t"), 10, before), (key("t"), 20, before)))
    await store.write(batch_of((key("t"), 20, after), (key("t"), 30, after)))

    found = await store.read(ALWAYS)
    assert found == [Series(key("t"), [(10, before), (20, after), (30, after)])]
    assert await store.latest() == [Latest(key("t"), 30, after)]


@pytest.mark.parametrize("bad", [(2**63, 1.0), (10, float("nan")), (10, float("inf"))])
async def test_store_rejects_a_batch_whole(any_store: TimeSeries, bad: tuple[int, float]) -> None:
    """What can never be stored is refused, and nothing beside it is stored."""
    with pytest.raises(PointsRejected):
        await any_store.write(batch_of((key("t"), 10, 1.0), (key("u"), *bad)))

    assert await any_store.read(ALWAYS) == []
    assert await any_store.latest() == []


async def test_store_goes_on_after_a_rejection(any_store: TimeSeries) -> None:
    """A series that a refused batch named first can be stored later."""
    with pytest.raises(PointsRejected):
        await any_store.write(batch_of((key("t"), 2**63, 1.0)))

    await any_store.write(batch_of((key("t"), 10, 1.0)))

    assert await any_store.read(ALWAYS) == [Series(key("t"), [(10, 1.0)])]


async def test_store_takes_an_empty_batch(any_store: TimeSeries) -> None:
    """Nothing to store is nothing to complain about."""
    await any_store.write(PointBatch())

    assert await any_store.read(ALWAYS) == []
