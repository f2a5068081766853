"""Metering on the real engine: nothing lost, nothing twice, the tenant's own days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest

from modules.saas.events import RequestCompleted
from modules.saas.settings import SaasSettings
from modules.saas.steps import track_usage_step
from modules.saas.terms import Terms
from modules.saas.usage import MAX_ENDPOINTS
from tests.support.fake_context import FakeClock, FakeContext
from tests.support.saas import ACME, NOW, Saas, saas
from tidegate.contract import Context
from tidegate.engine.worker import Worker

pytestmark = pytest.mark.anyio

TODAY = "usage:acme:2026-01-15"
DAY_S = 86_400.0


async def test_usage_is_counted_per_endpoint_and_in_total() -> None:
    """The value has the seed's group, key and shape; the query string is not part of it."""
    async with saas() as s:
        await s.use(2)
        await s.use(endpoint="/orders?token=secret")

        assert await s.h.state("analytics", TODAY) == {"/users": 2, "/orders": 1, "total": 3}


async def test_usage_of_64_calls_at_once_is_64() -> None:
    """Calls that change one value at the same time lose none."""
    async with saas() as s:

        async def count(number: int) -> None:
            call = RequestCompleted("acme", f"/e{number % 4}", f"r{number}")

            async def run(ctx: Context) -> None:
                await track_usage_step.handler(call, ctx, saas_settings=SaasSettings())

            await s.h.engine.transact(run)

        with anyio.fail_after(50):
            async with anyio.create_task_group() as tasks:
                for number in range(64):
                    tasks.start_soon(count, number)

        assert await s.h.state("analytics", TODAY) == {
            **{f"/e{number}": 16 for number in range(4)},
            "total": 64,
        }


async def test_usage_of_64_events_goes_through_the_worker_without_pause() -> None:
    """A tenant's calls are handled one after the other, and each lets the next begin at once."""
    async with saas() as s, anyio.create_task_group() as tasks:
        tasks.start_soon(Worker(s.h.engine).run)
        async with anyio.create_task_group() as emitters:
            for number in range(64):
                call = {"tenantId": "acme", "endpoint": "/users", "requestId": f"r{number}"}
                emitters.start_soon(s.h.emit, "api.request.completed", call)

        with anyio.fail_after(30):
            while await _total(s) != 64:  # noqa: ASYNC110 - the state wakes nobody
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()

    assert s.h.capture("usage.threshold.exceeded") == []


async def test_usage_emitted_twice_with_one_request_id_is_counted_once() -> None:
    """A request is counted once for its tenant, whoever repeats it, also days later."""
    async with saas(tenants={"acme": ACME, "globex": ACME}) as s:
        await s.use(2, requestId="r1", at="2026-01-15T11:59:00Z")
        await s.use(1, requestId="r1", tenantId="globex")
        await s.h.tick(6 * DAY_S)
        await s.use(1, requestId="r1", at="2026-01-15T11:59:00Z")

        assert await s.h.state("analytics", TODAY) == {"/users": 1, "total": 1}
        assert await s.h.state("analytics", "usage:globex:2026-01-15") == {"/users": 1, "total": 1}


async def test_usage_repeated_when_it_is_forgotten_is_refused_for_its_age() -> None:
    """What is remembered is bounded; a repeat after that is too old to be counted again."""
    async with saas() as s:
        await s.use(1, requestId="r1", at="2026-01-15T11:59:00Z")
        await s.h.tick(9 * DAY_S)
        forgotten = await s.h.state("usage_seen", "acme:id:r1")
        await s.use(1, requestId="r1", at="2026-01-15T11:59:00Z")

        [dead] = await s.h.dead()
        assert forgotten is None
        assert "more than 7 days ago" in dead.error
        assert await s.h.state("analytics", TODAY) == {"/users": 1, "total": 1}


async def test_usage_delivered_twice_is_counted_once() -> None:
    """A delivery that is run again, without a request's id, is known by its idempotency key."""
    ctx = FakeContext(FakeClock(NOW))
    await ctx.state.set("tenants", "acme", ACME)
    call = RequestCompleted("acme", "/users")

    for _ in range(2):
        await track_usage_step.handler(call, ctx, saas_settings=SaasSettings())

    assert await ctx.state.get("analytics", TODAY) == {"/users": 1, "total": 1}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Pacific/Auckland", "2026-01-16"),
        ("America/Los_Angeles", "2026-01-15"),
        ("UTC", "2026-01-15"),
    ],
)
async def test_usage_belongs_to_the_day_of_the_tenants_zone(zone: str, day: str) -> None:
    """At noon UTC it is tomorrow in Auckland; the server's own zone plays no part."""
    async with saas(tenants={"acme": {**ACME, "timezone": zone}}) as s:
        await s.use()

        assert await s.h.state("analytics", f"usage:acme:{day}") == {"/users": 1, "total": 1}


@pytest.mark.parametrize("at", ["2026-01-13T23:30:00+00:00", 1_768_347_000_000])
async def test_usage_counts_at_its_own_time(at: Any) -> None:
    """A call that comes late counts on the day on which it happened, in the tenant's zone."""
    async with saas(tenants={"acme": {**ACME, "timezone": "Europe/Berlin"}}) as s:
        await s.use(at=at)

        assert await s.h.state("analytics", "usage:acme:2026-01-14") == {"/users": 1, "total": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "2026-01-15T12:06:00Z"},
        {"at": "2026-01-08T11:59:00Z"},
        {"at": "2026-01-15T11:00:00"},
        {"at": -1},
        {"at": 10**18},
        {"at": True},
        {"tenantId": "nobody"},
        {"tenantId": "a:b"},
        {"tenantId": "*"},
        {"tenantId": ""},
        {"tenantId": None},
        {"endpoint": 7},
        {"requestId": ""},
        {"requestId": "r" * 201},
    ],
)
async def test_usage_that_cannot_be_counted_is_a_dead_letter(wrong: dict[str, Any]) -> None:
    """A wrong time, tenant or field is kept with its reason, and counted nowhere."""
    async with saas() as s:
        await s.use(**wrong)

        [dead] = await s.h.dead()
        assert (dead.step, dead.attempts) == ("TrackUsage", 1)
        assert await s.h.state("analytics", TODAY) is None


async def test_usage_of_an_unknown_tenant_is_counted_after_a_redrive() -> None:
    """Calls of a tenant that does not exist yet wait as dead letters that say what to do."""
    async with saas() as s:
        await s.use(tenantId="late")
        [dead] = await s.h.dead()
        await s.put("tenants", "late", ACME)
        await s.h.engine.redrive([dead.id])
        await s.h.drain()

        assert "'late' is unknown: create it, then redrive" in dead.error
        assert await s.h.state("analytics", "usage:late:2026-01-15") == {"/users": 1, "total": 1}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "/etc/passwd"])
async def test_usage_in_a_zone_that_does_not_exist_is_a_dead_letter(zone: str) -> None:
    """A wrong zone is not taken for UTC: the wrong day would be billed."""
    async with saas(tenants={"acme": {**ACME, "timezone": zone}}) as s:
        await s.use()

        [dead] = await s.h.dead()
        assert "use an IANA name" in dead.error


async def test_usage_outlives_a_day_until_it_is_invoiced() -> None:
    """What is not invoiced stays for good; what is, for the time that the settings say."""
    terms = Terms(usage_days=400)
    async with saas(settings=SaasSettings(terms=terms)) as s:
        await s.use(3)
        await s.h.tick(200 * DAY_S)
        before = await s.h.state("analytics", TODAY)
        await s.bill("2026-01")
        await s.h.tick(399 * DAY_S)
        kept = await s.h.state("analytics", TODAY)
        await s.h.tick(2 * DAY_S)

        assert before == kept == {"/users": 3, "total": 3}
        assert (await s.invoice("acme-00001"))["calls"] == 3
        assert await s.h.state("analytics", TODAY) is None


def _small(limit: int, name: str = "starter") -> Any:
    [plan] = [plan for plan in SaasSettings().plans if plan.name == name]
    return msgspec.structs.replace(plan, daily_api_calls=limit)


async def test_threshold_is_announced_once_a_day() -> None:
    """The limit itself is allowed; the first call beyond it is told of, the next ones are not."""
    async with saas(settings=SaasSettings(plans=(_small(3),))) as s:
        exceeded = s.h.capture("usage.threshold.exceeded")
        await s.use(3)
        at_limit = list(exceeded)
        await s.use(5)
        await s.h.tick(DAY_S)
        await s.use(4)

        assert at_limit == []
        first = {"tenantId": "acme", "usage": 4, "limit": 3, "day": "2026-01-15", "plan": "starter"}
        assert exceeded == [first, {**first, "day": "2026-01-16"}]


async def test_threshold_is_armed_again_by_an_upgrade_only() -> None:
    """A higher limit is announced when it is exceeded too; going back to a lower one is not."""
    plans = (_small(2), _small(4, "pro"))
    async with saas(settings=SaasSettings(plans=plans)) as s:
        exceeded = s.h.capture("usage.threshold.exceeded")
        await s.use(3)
        await s.put("tenants", "acme", {**ACME, "plan": "pro"})
        await s.use(3)
        await s.put("tenants", "acme", ACME)
        await s.use(3)

        assert [(event["usage"], event["limit"]) for event in exceeded] == [(3, 2), (5, 4)]


async def test_threshold_of_an_unknown_plan_costs_no_usage() -> None:
    """A call is counted whatever the plan's name; unlimited plans have no threshold."""
    tenants = {"acme": {**ACME, "plan": "gone"}, "big": {**ACME, "plan": "enterprise"}}
    async with saas(tenants=tenants) as s:
        await s.use()
        await s.use(tenantId="big")

        assert await s.h.dead() == []
        assert await s.h.state("analytics", TODAY) == {"/users": 1, "total": 1}


async def test_usage_of_made_up_endpoints_does_not_grow_the_value() -> None:
    """Endpoints beyond the bound are counted together, and none is lost."""
    async with saas() as s:
        for number in range(MAX_ENDPOINTS + 20):
            await s.use(endpoint=f"/made/up/{number}")

        kept = await s.h.state("analytics", TODAY)
        assert (kept["total"], kept["other"], len(kept)) == (
            MAX_ENDPOINTS + 20,
            20,
            MAX_ENDPOINTS + 2,
        )


async def test_usage_report_is_ordered_once_for_when_the_day_is_over() -> None:
    """The first call of a day orders its report; it is due at the end of the tenant's day."""
    zoned = {**ACME, "timezone": "Europe/Berlin"}
    async with saas(tenants={"acme": zoned}) as s:
        await s.use(3)
        await s.h.tick(DAY_S)
        await s.use()

        days = [event["day"] for event in s.h.capture("usage.report.generate")]
        assert days == ["2026-01-15", "2026-01-16"]


async def test_usage_after_its_invoice_is_billed_with_the_next_month() -> None:
    """A call of a closed month is not lost, not billed twice, and in no day's limit."""
    async with saas(now=datetime(2026, 2, 1, 0, 30, tzinfo=UTC)) as s:
        await s.use(2, at="2026-01-31T23:59:00Z")
        await s.bill("2026-01")
        await s.use(1, at="2026-01-31T23:58:00Z")
        late = await s.h.state("analytics", "usage:acme:2026-02-late")
        await s.use(1)
        await s.h.tick(timedelta(days=28).total_seconds())
        await s.bill("2026-02")

        assert late == {"/users": 1, "total": 1}
        assert [(await s.invoice(f"acme-0000{n}"))["calls"] for n in (1, 2)] == [2, 2]
        assert await s.h.state("analytics", "usage:acme:2026-02-01") == {"/users": 1, "total": 1}


async def test_usage_spoilt_by_others_is_not_counted_on() -> None:
    """A stored value whose total is wrong stops the count instead of being billed."""
    async with saas() as s:
        await s.put("analytics", TODAY, {"/users": 5, "total": 4})
        await s.use()

        [dead] = await s.h.dead()
        assert "wrong total" in dead.error


async def test_usage_of_tenants_with_similar_ids_stays_apart() -> None:
    """Tenants whose ids begin alike keep their counts apart."""
    tenants = {"acme": ACME, "acme-2": ACME, "acme.3": ACME}
    async with saas(tenants=tenants) as s:
        for tenant_id in tenants:
            await _use_and_bill(s, tenant_id)

        bills = [await s.invoice(f"{t}-00001", t) for t in tenants]
        assert [bill["calls"] for bill in bills] == [1, 1, 1]


async def _use_and_bill(s: Saas, tenant_id: str) -> None:
    await s.use(tenantId=tenant_id)
    await s.bill("2026-01", tenant_id)


async def _total(s: Saas) -> int:
    counted = await s.h.state("analytics", TODAY)
    return 0 if counted is None else int(counted["total"])
