"""Takes the form that asks for a report."""

from typing import Any
from urllib.parse import quote

from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, redirect
from cloud.dashboard.report_form import FormError, read_report_form
from cloud.settings import Settings
from tidegate.contract import Context
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
    """Ask for a report and go back to the list, where it appears."""
    frame = frame_of(settings, ctx.now())
    fields = req.body if isinstance(req.body, dict) else {}
    try:
        asked = read_report_form(fields, frame.zone, frame.now_ms)
    except FormError as exc:
        return redirect(f"/reports?error={quote(str(exc))}")
    await ctx.emit("report.requested", ReportRequested(**asked._asdict()))
    return redirect("/reports?asked=1")
