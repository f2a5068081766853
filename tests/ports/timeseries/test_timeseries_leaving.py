"""How points leave every store of telemetry: deleted, or by their age."""

import pytest

from cloud.timeseries.port import (
    Latest,
    Series,
    SeriesQuery,
    TimeSeries,
)
from tests.ports.timeseries.points import ALWAYS, DAY_MS, NOW_MS, batch_of, key

pytestmark = pytest.mark.anyio


async def test_store_deletes_a_device(store: TimeSeries) -> None:
    """Its numbers, texts and newest values go, at once and after tending; others' stay."""
    gone, other, abroad = key("t"), key("t", "fan"), key("t", "pump", "b")
    mode = key("mode")
    await store.write(
        batch_of((gone, 10, 1.0), (other, 10, 2.0), (abroad, 10, 3.0), (mode, 9, "x"))
    )

    await store.delete("acme", "pump")

    kept = [Series(other, [(10, 2.0)]), Series(abroad, [(10, 3.0)])]
    assert await store.read(ALWAYS) == kept
    assert [one.key for one in await store.latest()] == [other, abroad]
    await store.tend(NOW_MS)
    assert await store.read(ALWAYS) == kept
    assert (await store.page(ALWAYS, limit=9)).series == kept


async def test_store_deletes_a_tenant(store: TimeSeries) -> None:
    """All its devices go, also out of steps; deleting again, or nobody, is nothing."""
    kept = key("t", "pump", "b")
    await store.write(batch_of((key("t"), 10, 1.0), (key("u", "fan"), 10, 2.0), (kept, 10, 3.0)))
    await store.tend(NOW_MS)

    for tenant, device in (("acme", None), ("acme", None), ("nobody", None), ("b", "nothing")):
        await store.delete(tenant, device)

    assert await store.read(ALWAYS) == [Series(kept, [(10, 3.0)])]
    steps = SeriesQuery(0, NOW_MS, step_ms=DAY_MS)
    assert await store.read(steps) == [Series(kept, [(0, 3.0)])]


async def test_store_deletes_a_device_or_a_tenant(any_store: TimeSeries) -> None:
    """What is theirs is gone, numbers and states; nobody else loses anything; twice is no fault."""
    keys = [key(m, d, t) for t in ("acme", "b c") for d in ("pump", "it's") for m in ("t", "u")]
    await any_store.write(batch_of(*((key, 10, 1.0) for key in keys)))
    await any_store.write(batch_of(*((key, 20, "on") for key in keys)))

    await any_store.delete("acme", "it's")
    after_device = {series.key for series in await any_store.read(ALWAYS)}
    await any_store.delete("b c")
    await any_store.delete("b c")
    after_tenant = [series.key for series in await any_store.read(ALWAYS)]

    assert after_device == {key for key in keys if key[:2] != ("acme", "it's")}
    assert after_tenant == [key("t"), key("u")]
    assert [one.key for one in await any_store.latest()] == after_tenant


async def test_store_takes_what_comes_after_a_deletion(store: TimeSeries) -> None:
    """The same device may write again: old times, the same points, other kinds."""
    await store.write(batch_of((key("t"), 10, 1.0), (key("t"), 20, 2.0)))
    await store.delete("acme", "pump")

    await store.write(batch_of((key("t"), 10, "new")))

    for _ in range(2):
        assert await store.read(ALWAYS) == [Series(key("t"), [(10, "new")])]
        assert await store.latest() == [Latest(key("t"), 10, "new")]
        await store.tend(NOW_MS)


async def test_store_takes_again_what_was_deleted(any_store: TimeSeries) -> None:
    """A deleted series can be written anew; the old points do not come back."""
    await any_store.write(batch_of((key("t"), 10, 1.0), (key("t"), 20, "x")))
    await any_store.delete("acme")

    await any_store.write(batch_of((key("t"), 30, 3.0)))

    assert await any_store.read(ALWAYS) == [Series(key("t"), [(30, 3.0)])]


@pytest.mark.parametrize("store", ["duckdb", "memory"], indirect=True)
async def test_store_without_a_retention_keeps_everything(store: TimeSeries) -> None:
    """Nothing goes by age unless somebody said so."""
    await store.write(batch_of((key("t"), -(2**63), 1.0), (key("t"), 10, "x")))

    await store.tend(NOW_MS)

    found = await store.read(SeriesQuery(-(2**63), 2**62))
    assert found == [Series(key("t"), [(-(2**63), 1.0), (10, "x")])]


async def test_store_drops_points_by_their_age(keeping: TimeSeries) -> None:
    """What is older than is to be kept goes, numbers and texts; a silent series has no latest."""
    old_ms, young_ms = NOW_MS - 30 * DAY_MS - 1, NOW_MS - 30 * DAY_MS
    silent = key("silent")
    await keeping.write(batch_of((key("t"), old_ms, 1.0), (key("t"), young_ms, 2.0)))
    await keeping.write(batch_of((silent, old_ms, "on")))
    await keeping.write(batch_of((key("u"), -(2**63), 1.0)))

    await keeping.tend(NOW_MS)

    assert await keeping.read(ALWAYS) == [Series(key("t"), [(young_ms, 2.0)])]
    assert await keeping.latest() == [Latest(key("t"), young_ms, 2.0)]


async def test_store_series_may_come_back_after_its_points_were_dropped(
    keeping: TimeSeries,
) -> None:
    """A series that was silent for too long is stored, replaced and found as any other."""
    await keeping.write(batch_of((key("t"), NOW_MS - 40 * DAY_MS, 1.0)))
    await keeping.tend(NOW_MS)

    await keeping.write(batch_of((key("t"), NOW_MS, 2.0)))
    await keeping.write(batch_of((key("t"), NOW_MS, 3.0)))

    assert await keeping.read(ALWAYS) == [Series(key("t"), [(NOW_MS, 3.0)])]
