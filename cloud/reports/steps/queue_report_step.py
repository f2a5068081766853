"""Queues a report that another service asks for."""

from cloud.reports.errors import BadPeriod
from cloud.reports.period import Scope, checked_period
from cloud.reports.record import queue
from tidegate.contract import Context
from tidegate.errors import NonRetriable
from wire.events import ReportRequested

config = {
    "type": "event",
    "name": "QueueReport",
    "description": "Makes the record of a report that was asked for, so that it is drawn",
    "flows": ["reports"],
    "subscribes": ["report.requested"],
    "emits": ["report.queued"],
    "input": ReportRequested,
}


async def handler(asked: ReportRequested, ctx: Context) -> None:
    """Queue the report; a period that cannot be reported is dead-lettered."""
    now_ms = round(ctx.now().timestamp() * 1000)
    try:
        period = checked_period(asked.from_ms, asked.to_ms, now_ms)
    except BadPeriod as exc:
        raise NonRetriable(str(exc)) from exc
    await queue(ctx, period, Scope(asked.tenant, asked.device))
