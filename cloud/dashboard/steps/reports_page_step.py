"""The reports made so far, and a form to ask for another."""

from typing import Any

from cloud.dashboard.alerts_view import newest_reports
from cloud.dashboard.fleet_view import keys_of
from cloud.dashboard.needs import FleetRegistry, PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context
from wire.records import REPORTS

config = {
    "type": "api",
    "name": "ShowReports",
    "method": "GET",
    "path": "/reports",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_MAX_ROWS = 200


async def handler(
    req: PageRequest, ctx: Context, *, registry: FleetRegistry, settings: Settings
) -> dict[str, Any]:
    """Return the page of reports.

    `error` is what to correct in the form that was sent; `asked` says that one was taken, whose
    report may take a moment to appear.
    """
    reports = newest_reports(await ctx.state.get_group(REPORTS))
    asked = "asked" in req.query_params
    return page(
        "reports.html",
        frame_of(settings, ctx.now()),
        here="/reports",
        error=req.query_params.get("error", ""),
        asked=asked,
        reports=reports[:_MAX_ROWS],
        waiting=asked or any(one.status == "queued" for one in reports),
        devices=keys_of(registry.devices()),
    )
