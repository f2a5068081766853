"""Counts a tenant's calls per day, and tells once a day when the plan's limit is exceeded."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from modules.saas import usage
from modules.saas.billing import open_period
from modules.saas.events import RequestCompleted, ThresholdExceeded, UsageReportDue
from modules.saas.periods import Period, day_of, period_of, start_of
from modules.saas.settings import SaasSettings
from modules.saas.tenants import GROUP as TENANTS
from modules.saas.tenants import Metered, tenant_as
from tidegate.contract import Context

_SEEN = "usage_seen"
_SEEN_LONGER_BY = timedelta(days=1)
_DAY = timedelta(days=1)


config = {
    "type": "event",
    "name": "TrackUsage",
    "description": "Counts a call in `analytics`, `usage:TENANT:DAY`, in the tenant's own days",
    "flows": ["saas"],
    "subscribes": ["api.request.completed"],
    "emits": ["usage.threshold.exceeded", "usage.report.generate"],
    "input": RequestCompleted,
    # All calls of a tenant's day change one value. In order, none has to be done twice.
    "key": "/tenantId",
}


async def handler(call: RequestCompleted, ctx: Context, *, saas_settings: SaasSettings) -> None:
    """Count the call once, whatever is delivered or emitted twice.

    Raises:
        Rejected: the tenant is unknown, or the call's time is out of bounds: a dead letter, which
            can be redriven.
    """
    record = await ctx.state.get(TENANTS, call.tenant_id)
    tenant = tenant_as(Metered, call.tenant_id, record)
    max_age = timedelta(days=saas_settings.terms.late_days)
    at = usage.time_of_usage(_moment(call.at), ctx.now(), max_age=max_age)
    if not await _is_new(call, ctx, max_age):
        return
    day = day_of(at, tenant.zone)
    period = await open_period(ctx.state, call.tenant_id, period_of(day))
    if period != period_of(day):
        await _count_late(call, ctx, period)
        return
    total = await _count(call, ctx, day, tenant)
    await _watch_limit(call, ctx, saas_settings, day=day, total=total, plan=tenant.plan)


def _moment(at: datetime | int | None) -> datetime | None:
    if not isinstance(at, int):
        return at
    return datetime.fromtimestamp(at // 1000, UTC) + timedelta(milliseconds=at % 1000)


async def _is_new(call: RequestCompleted, ctx: Context, max_age: timedelta) -> bool:
    """Tell whether the call was not counted yet, and remember it.

    It is remembered for longer than a call may be old: a repeat is recognised or refused.
    """
    mark = f"id:{call.request_id}" if call.request_id else f"run:{ctx.idempotency_key}"
    key = f"{call.tenant_id}:{mark}"
    if await ctx.state.get(_SEEN, key):
        ctx.logger.debug("usage.repeated", tenant_id=call.tenant_id)
        return False
    await ctx.state.set(_SEEN, key, 1, ttl=(max_age + _SEEN_LONGER_BY).total_seconds())
    return True


async def _count_late(call: RequestCompleted, ctx: Context, period: Period) -> None:
    """Count a call whose own period was invoiced already with the next open one."""
    key = usage.late_key(call.tenant_id, period)
    value = await ctx.state.get(usage.GROUP, key)
    await ctx.state.set(usage.GROUP, key, usage.counted(value, call.endpoint))
    ctx.logger.info("usage.late", tenant_id=call.tenant_id, billed_with=str(period))


async def _count(call: RequestCompleted, ctx: Context, day: date, tenant: Metered) -> int:
    """Count a call on its day; the day's first one orders the report for when it is over.

    Without `ttl`: what is not invoiced must not lapse.
    """
    key = usage.day_key(call.tenant_id, day)
    value = await ctx.state.get(usage.GROUP, key)
    now_counted = usage.counted(value, call.endpoint)
    await ctx.state.set(usage.GROUP, key, now_counted)
    if value is None:
        over = start_of(day + _DAY, tenant.zone) - ctx.now()
        report = UsageReportDue(call.tenant_id, day.isoformat())
        delay_s = max(0.0, over.total_seconds())
        await ctx.emit("usage.report.generate", report, delay=delay_s)
    return now_counted[usage.TOTAL]


async def _watch_limit(
    call: RequestCompleted,
    ctx: Context,
    settings: SaasSettings,
    *,
    day: date,
    total: int,
    plan: str,
) -> None:
    if plan not in settings.catalogue:
        ctx.logger.warning("plan.unknown", tenant_id=call.tenant_id, plan=plan)
        return
    limit = settings.catalogue[plan].daily_api_calls
    if limit is None or total <= limit:
        return
    key = usage.announced_key(call.tenant_id, day)
    announced: Any = await ctx.state.get(usage.GROUP, key)
    if not usage.is_to_announce(total, limit, announced):
        return
    kept_s = timedelta(days=settings.terms.late_days + 2).total_seconds()
    await ctx.state.set(usage.GROUP, key, limit, ttl=kept_s)
    exceeded = ThresholdExceeded(call.tenant_id, total, limit, day.isoformat(), plan)
    await ctx.emit("usage.threshold.exceeded", exceeded)
