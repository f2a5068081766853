"""Gives a report's PDF, or says how far it is."""

from pathlib import Path
from typing import Any

import anyio

from cloud.reports.record import FOLDER, find
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.records import Report

config = {
    "type": "api",
    "name": "GetReport",
    "description": "The PDF; 202 while it is being made",
    "flows": ["reports"],
    "method": "GET",
    "path": "/api/v1/reports/:file",
    "middleware": ["adminMiddleware"],
    "emits": [],
}

_RETRY_AFTER_S = 2
# A report that a bug threw out of the queue would otherwise stay "queued" for good.
_GIVEN_UP_AFTER_MS = 3_600_000


async def handler(req: Request, ctx: Context, *, data_dir: Path) -> Path | dict[str, Any]:
    """Return the file; 404 unknown, 202 not ready yet, 500 with the reason when it failed."""
    report = await find(ctx, str(req.path_params["file"]).removesuffix(".pdf"))
    if report is None:
        raise HTTPError(404, "there is no such report")
    if report.status == "failed":
        raise HTTPError(500, f"the report could not be made: {report.error}")
    if report.status == "queued":
        return _not_yet(report, round(ctx.now().timestamp() * 1000))
    path = data_dir / FOLDER / (report.file_name or "")
    if not await anyio.Path(path).is_file():
        raise HTTPError(404, "the report's file was removed")
    return path


def _not_yet(report: Report, now_ms: int) -> dict[str, Any]:
    if now_ms - report.created_at_ms > _GIVEN_UP_AFTER_MS:
        raise HTTPError(500, "the report was given up: see the dead letters of step RenderReport")
    return {
        "status": 202,
        "headers": {"Retry-After": str(_RETRY_AFTER_S)},
        "body": {"report_id": report.report_id, "status": report.status},
    }
