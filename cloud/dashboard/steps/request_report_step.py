"""Takes the form that asks for a report."""

import secrets
from typing import Any
from urllib.parse import quote

from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, redirect
from cloud.dashboard.report_form import FormError, read_report_form
from cloud.settings import Settings
from tidegate.auth.origin import same_origin
from tidegate.contract import Context
from tidegate.errors import HTTPError
from wire.events import ReportRequested

config = {
    "type": "api",
    "name": "RequestReportByForm",
    "method": "POST",
    "path": "/reports",
    "middleware": ["pageMiddleware"],
    "emits": ["report.requested"],
}


async def handler(req: PageRequest, ctx: Context, *, settings: Settings) -> dict[str, Any]:
    """Queue a report and go back to the list, where it appears when it is ready."""
    if not same_origin(req.headers, settings.http.public_url):
        raise HTTPError(403, "the form was not sent from this site")
    frame = frame_of(settings, ctx.now())
    fields = req.body if isinstance(req.body, dict) else {}
    try:
        asked = read_report_form(fields, frame.zone, frame.now_ms)
    except FormError as exc:
        return redirect(f"/reports?error={quote(str(exc))}")
    report_id = secrets.token_hex(8)
    record = {"report_id": report_id, **asked._asdict(), "created_at_ms": frame.now_ms}
    await ctx.state.set(
        "reports", report_id, {**record, "status": "queued", "file_name": None, "error": None}
    )
    await ctx.emit("report.requested", ReportRequested(report_id=report_id, **asked._asdict()))
    ctx.logger.info("report.requested", report_id=report_id)
    return redirect("/reports")
