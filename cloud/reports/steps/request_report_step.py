"""Takes an order for a PDF report of a period."""

from typing import Any

from cloud.reports.errors import BadPeriod
from cloud.reports.period import parse_request
from cloud.reports.record import path_of, queue
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "RequestReport",
    "description": "Orders a PDF of a period; Location becomes the PDF",
    "flows": ["reports"],
    "method": "POST",
    "path": "/api/v1/reports",
    "middleware": ["adminMiddleware"],
    "emits": ["report.queued"],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Queue the report and say where it will be; a bad period is 422."""
    try:
        period, scope = parse_request(req.body, round(ctx.now().timestamp() * 1000))
    except BadPeriod as exc:
        raise HTTPError(422, str(exc)) from exc
    report = await queue(ctx, period, scope)
    return {
        "status": 202,
        "headers": {"Location": path_of(report.report_id)},
        "body": {"report_id": report.report_id, "status": report.status},
    }
