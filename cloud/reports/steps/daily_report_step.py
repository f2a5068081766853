"""Orders the daily report: about the day before, at the site's time of day."""

from datetime import date

from cloud.reports.record import queue
from cloud.reports.schedule import day_before, due, latest_due, time_of_day
from cloud.settings import Settings, zone_of
from tidegate.contract import Context

# A step's config is fixed, the time of day is a setting: so it looks every minute.
config = {
    "type": "cron",
    "name": "OrderDailyReport",
    "description": "Orders a report of the day before at [reports] daily_at, in the site's zone",
    "flows": ["reports"],
    "cron": "*/1 * * * *",
    "emits": ["report.queued"],
}

_GROUP, _KEY = "report_schedule", "daily"


async def handler(ctx: Context, *, settings: Settings) -> None:
    """Order the report when it is due; the date of the last one is kept, so each is made once."""
    zone = zone_of(settings.site.timezone)
    daily_at = time_of_day(settings.reports.daily_at)
    kept = await ctx.state.get(_GROUP, _KEY)
    last = None if kept is None else date.fromisoformat(kept)
    if last is None:
        await ctx.state.set(_GROUP, _KEY, latest_due(ctx.now(), daily_at, zone).isoformat())
        return
    today = due(ctx.now(), daily_at, zone, last)
    if today is None:
        return
    await queue(ctx, day_before(today, zone))
    await ctx.state.set(_GROUP, _KEY, today.isoformat())
