"""All alerts, and what was told to whom about them."""

from typing import Any

from cloud.dashboard.alerts_view import newest_deliveries, sort_alerts
from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context
from wire.records import ALERTS, DELIVERIES

config = {
    "type": "api",
    "name": "ShowAlerts",
    "method": "GET",
    "path": "/alerts",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_MAX_ROWS = 200


async def handler(_req: PageRequest, ctx: Context, *, settings: Settings) -> dict[str, Any]:
    """Return the page of open and resolved alerts and of deliveries."""
    alerts = sort_alerts(await ctx.state.get_group(ALERTS))
    deliveries = newest_deliveries(await ctx.state.get_group(DELIVERIES))
    return page(
        "alerts.html",
        frame_of(settings, ctx.now()),
        here="/alerts",
        open_alerts=alerts.open,
        past_alerts=alerts.past[:_MAX_ROWS],
        past_count=len(alerts.past),
        deliveries=deliveries[:_MAX_ROWS],
    )
