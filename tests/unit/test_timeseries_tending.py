"""The task that tends the store, and the steps that delete from it."""

from typing import Any

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from cloud.timeseries.memory import Memory
from cloud.timeseries.port import StoreAway
from cloud.timeseries.steps import delete_telemetry_step, delete_tenant_telemetry_step
from cloud.timeseries.tending import keep_tended
from tests.support.fake_context import FakeContext
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio


class _Tended(Memory):
    """A store that is away for some of its tends."""

    def __init__(self, away: list[bool]) -> None:
        super().__init__()
        self.over = anyio.Event()
        self.times_ms: list[int] = []
        self._away = away

    async def tend(self, now_ms: int) -> None:
        self.times_ms.append(now_ms)
        if not self._away:
            self.over.set()
            return
        if self._away.pop(0):
            raise StoreAway("switched off by the test")


async def test_tending_outlives_a_store_that_is_away() -> None:
    """It tries again the next time, and says once that it failed and once that it did not."""
    store = _Tended([True, True, False, True])
    structlog.reset_defaults()

    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: keep_tended(store, lambda: 7, every_s=0.001))
            await store.over.wait()
            tasks.cancel_scope.cancel()

    assert set(store.times_ms) == {7}
    events = ["store.untended", "store.tended", "store.untended"]
    assert [line["event"] for line in logs][:3] == events


@pytest.fixture
async def store() -> Memory:
    """Return a store with two devices of acme and one of b."""
    store = Memory()
    keys = [
        SeriesKey(TenantId(tenant), DeviceId(device), MetricName("t"))
        for tenant, device in (("acme", "pump"), ("acme", "fan"), ("b", "pump"))
    ]
    await store.write(PointBatch(keys, [1, 1, 1], [1.0, 2.0, 3.0]))
    return store


class Forgetting:
    """Remembers who was to be forgotten."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[str, str | None]] = []

    async def forget(self, tenant: str, device: str | None = None) -> None:
        """Note it."""
        self.forgotten.append((tenant, device))


async def test_deleting_forgets_what_ingestion_knew(store: Memory) -> None:
    """Births name the device's metrics, its series count: they go with its points."""
    forgetting, names = Forgetting(), {"tenant": "acme", "device": "pump"}
    request = Request(path_params=names)

    for step in (delete_telemetry_step, delete_tenant_telemetry_step):
        await step.handler(request, FakeContext(), telemetry=store, forgetting=forgetting)

    assert forgetting.forgotten == [("acme", "pump"), ("acme", None)]


async def test_deleting_a_device_says_what_went(store: Memory) -> None:
    """One device's series are gone, the others are not; again there is nothing to delete."""
    request = Request(path_params={"tenant": "acme", "device": "pump"})

    answers: list[dict[str, Any]] = [
        await delete_telemetry_step.handler(
            request, FakeContext(), telemetry=store, forgetting=Forgetting()
        )
        for _ in range(2)
    ]

    names = {"tenant": "acme", "device": "pump"}
    assert answers == [
        {"status": 202, "body": {**names, "devices": 1, "series": 1}},
        {"status": 202, "body": {**names, "devices": 0, "series": 0}},
    ]
    assert [one.key.device for one in await store.latest("acme")] == ["fan"]


async def test_deleting_a_tenant_says_what_went(store: Memory) -> None:
    """All devices of the tenant, nobody else's."""
    request = Request(path_params={"tenant": "acme"})

    answer = await delete_tenant_telemetry_step.handler(
        request, FakeContext(), telemetry=store, forgetting=Forgetting()
    )

    body = {"tenant": "acme", "device": None, "devices": 2, "series": 2}
    assert answer == {"status": 202, "body": body}
    assert [one.key.tenant for one in await store.latest()] == ["b"]


async def test_deleting_what_can_have_no_name_is_404(store: Memory) -> None:
    """A name that no tenant or device can have is one that nobody has."""
    request = Request(path_params={"tenant": "a/b", "device": "pump"})

    for step in (delete_telemetry_step, delete_tenant_telemetry_step):
        with pytest.raises(HTTPError, match="no such"):
            await step.handler(request, FakeContext(), telemetry=store, forgetting=Forgetting())
