"""Reading stored points over the api, in pages or in steps."""

from types import ModuleType
from typing import Any

import pytest

from cloud.timeseries.memory import Memory
from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    Series,
    SeriesQuery,
    StoreAway,
    Unsupported,
)
from cloud.timeseries.steps import (
    delete_telemetry_step,
    delete_tenant_telemetry_step,
    get_series_step,
)
from tests.support.fake_context import FakeContext
from tidegate import errors
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> Memory:
    """Return a store with 7 points of t, 3 of u, and another device's."""
    store, batch = Memory(), PointBatch()
    for metric, device, count in (("t", "pump", 7), ("u", "pump", 3), ("t", "fan", 2)):
        for ts_ms in range(count):
            key = SeriesKey(TenantId("acme"), DeviceId(device), MetricName(metric))
            batch.append(key, ts_ms, float(ts_ms))
    await store.write(batch)
    return store


async def _get(store: Memory, **query: object) -> dict[str, Any]:
    asked = {"tenant": "acme", "device": "pump", "from": 0, "to": 100, **query}
    request = Request(query_params=asked)
    answer = await get_series_step.handler(request, FakeContext(), telemetry=store)
    body: dict[str, Any] = answer["body"]
    return body


async def test_series_returns_raw_points(store: Memory) -> None:
    """Without a step all points come, as pairs of time and value."""
    body = await _get(store, metric="u")

    assert body["next_cursor"] is None
    assert body["series"] == [
        {
            "tenant": "acme",
            "device": "pump",
            "metric": "u",
            "points": [(0, 0.0), (1, 1.0), (2, 2.0)],
        }
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 10, 11])
async def test_series_pages_join_to_the_whole(store: Memory, limit: int) -> None:
    """Following the cursor gives every point once, whatever the size of a page."""
    points: list[tuple[str, int]] = []
    cursor: dict[str, str] = {}

    for _ in range(11):
        body = await _get(store, limit=limit, **cursor)
        page = [(one["metric"], ts_ms) for one in body["series"] for ts_ms, _ in one["points"]]
        assert len(page) <= limit
        points += page
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}

    assert points == [("t", ts_ms) for ts_ms in range(7)] + [("u", ts_ms) for ts_ms in range(3)]


class _Counting(Memory):
    """Counts what it is asked."""

    calls = 0

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        self.calls += 1
        return await super().page(query, limit=limit, start=start)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        self.calls += 1
        return await super().read(query, limit=limit)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        self.calls += 1
        return await super().latest(tenant, device)


async def test_series_page_asks_the_store_once() -> None:
    """However many metrics a device has."""
    store, metrics = _Counting(), [MetricName(f"m{number:03}") for number in range(500)]
    keys = [SeriesKey(TenantId("acme"), DeviceId("pump"), metric) for metric in metrics]
    await store.write(PointBatch(keys, [5] * len(keys), [1.0] * len(keys)))

    first = await _get(store, limit=300)
    second = await _get(store, limit=300, cursor=first["next_cursor"])

    assert [len(body["series"]) for body in (first, second)] == [300, 200]
    assert second["next_cursor"] is None
    assert store.calls == 2


async def test_series_aggregates(store: Memory) -> None:
    """With a step there is one point for each."""
    body = await _get(store, metric="t", step=5, agg="max")

    assert body["series"][0]["points"] == [(0, 4.0), (5, 6.0)]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": "é"},
        {"cursor": "WyJ0IiwxXQ"},  # a metric and a time, of earlier versions
        {"cursor": "WyJ0IiwxLDFlOTld"},  # an order of 1e99
        {"step": 1, "from": 0, "to": 10**9},
    ],
)
async def test_series_refuses(store: Memory, query: dict[str, object]) -> None:
    """A cursor that is not ours, and more steps than anybody can draw."""
    with pytest.raises(HTTPError) as refused:
        await _get(store, **query)

    assert refused.value.status == 422


class _Away(Memory):
    """Does not answer."""

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        raise StoreAway("the disk is full")


async def test_series_of_a_store_that_is_away_are_the_runtimes_to_answer() -> None:
    """The step lets it pass: the runtime knows it by its own class, and answers 503."""
    with pytest.raises(errors.StoreAway, match="disk is full"):
        await _get(_Away(), step=5)


class _Undeletable(Memory):
    """A store that has no way to delete, as InfluxDB 3."""

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Refuse."""
        raise Unsupported("this server cannot delete points")


class _Forgetting:
    """Counts what is forgotten."""

    def __init__(self) -> None:
        self.forgotten = 0

    async def forget(self, tenant: str, device: str | None = None) -> None:
        """Count it."""
        self.forgotten += 1


@pytest.mark.parametrize("step", [delete_telemetry_step, delete_tenant_telemetry_step])
async def test_deletion_that_the_store_has_no_way_to_do_is_refused(step: ModuleType) -> None:
    """The caller is told why: it is no failure of ours, and nothing to try again."""
    request, forgetting = Request(path_params={"tenant": "acme", "device": "pump"}), _Forgetting()

    with pytest.raises(HTTPError, match="cannot delete") as refused:
        await step.handler(request, FakeContext(), telemetry=_Undeletable(), forgetting=forgetting)

    assert refused.value.status == 501
    assert forgetting.forgotten == 0
