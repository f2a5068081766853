"""The records of reports: made when one is asked for, found, listed, changed."""

import re
import secrets
from datetime import datetime

import msgspec

from cloud.reports.period import EVERYTHING, Period, Scope
from tidegate.contract import Context
from tidegate.errors import NonRetriable
from wire.events import ReportQueued
from wire.records import REPORTS, Report

FOLDER = "reports"
_FILE_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def file_name_of(report_id: str) -> str:
    """Return the name of a report's file.

    Raises:
        NonRetriable: the id, which anybody may have put into an event, is no part of a path.
    """
    if _FILE_SAFE.fullmatch(report_id) is None:
        raise NonRetriable("report_id may only hold letters, digits, - and _")
    return f"{report_id}.pdf"


def path_of(report_id: str) -> str:
    """Return the address that becomes the PDF."""
    return f"/api/v1/reports/{report_id}.pdf"


async def find(ctx: Context, report_id: str) -> Report | None:
    """Return a report by its id."""
    kept = await ctx.state.get(REPORTS, report_id)
    return None if kept is None else msgspec.convert(kept, Report)


async def newest_first(ctx: Context) -> list[Report]:
    """Return all reports, the newest first."""
    kept = msgspec.convert(await ctx.state.get_group(REPORTS), list[Report])
    return sorted(kept, key=lambda report: (report.created_at_ms, report.report_id), reverse=True)


async def put(ctx: Context, report: Report) -> None:
    """Keep a report's present state."""
    await ctx.state.set(REPORTS, report.report_id, msgspec.to_builtins(report))


async def queue(ctx: Context, period: Period, scope: Scope = EVERYTHING) -> Report:
    """Make a report's record; the report is drawn when `report.queued` is handled."""
    now = ctx.now()
    report = Report(
        _new_id(now),
        *period,
        created_at_ms=round(now.timestamp() * 1000),
        tenant=scope.tenant,
        device=scope.device,
    )
    await put(ctx, report)
    await ctx.emit("report.queued", ReportQueued(report.report_id))
    ctx.logger.info("report.queued", report_id=report.report_id)
    return report


def _new_id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
