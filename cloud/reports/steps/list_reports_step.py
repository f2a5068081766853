"""Lists the reports that were asked for, the newest first."""

from typing import Any

import msgspec

from cloud.reports.record import newest_first, path_of
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListReports",
    "description": "All reports with their status and address",
    "flows": ["reports"],
    "method": "GET",
    "path": "/api/v1/reports",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(_req: Request, ctx: Context) -> dict[str, Any]:
    """Return every report that is still kept."""
    reports = await newest_first(ctx)
    listed = [{**msgspec.to_builtins(r), "url": path_of(r.report_id)} for r in reports]
    return {"status": 200, "body": {"reports": listed}}
