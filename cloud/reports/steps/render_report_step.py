"""Draws a report that is queued, keeps its file, and clears away the oldest ones."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypedDict

import anyio.to_thread
import msgspec

from cloud.reports import files, record
from cloud.reports.build import build_report
from cloud.reports.errors import ReportFailed, ReportsUnavailable
from cloud.reports.model import Completeness
from cloud.settings import Settings
from cloud.timeseries.port import StoreAway, TimeSeries
from tidegate.contract import Context
from wire.events import AlertNotice, ReportFinished, ReportQueued
from wire.records import ALERTS, REPORTS, Report

_ATTEMPTS = 5

config = {
    "type": "event",
    "name": "RenderReport",
    "description": "Makes the PDF of a report",
    "flows": ["reports"],
    "subscribes": ["report.queued"],
    "emits": ["report.finished"],
    "input": ReportQueued,
    "retry": {"attempts": _ATTEMPTS, "base": 2.0, "cap": 60.0},
    # [reports] timeout_s ends the drawing; this one also bounds the reading before it.
    "timeout": 900.0,
    "concurrency": 1,
}


class Outcome(TypedDict):
    """What became of the drawing: a file or a reason."""

    file_name: str | None
    error: str | None


async def handler(
    input: ReportQueued,
    ctx: Context,
    *,
    telemetry: TimeSeries,
    ledger: Completeness,
    settings: Settings,
    data_dir: Path,
) -> None:
    """Make the PDF once: a report that has its fate already is left alone."""
    report = await record.find(ctx, input.report_id)
    if report is None or report.status != "queued":
        return
    folder = data_dir / record.FOLDER
    alerts = msgspec.convert(await ctx.state.get_group(ALERTS), list[AlertNotice])
    draw = partial(build_report, telemetry, ledger, alerts, settings)
    made: Outcome = await ctx.run("draw", partial(_draw, ctx, report, folder, draw))
    status = "failed" if made["error"] else "ready"
    await record.put(ctx, msgspec.structs.replace(report, status=status, **made))
    await ctx.emit("report.finished", ReportFinished(report.report_id, **made))
    ctx.logger.info("report.finished", report_id=report.report_id, status=status)
    await _clear_away(ctx, folder, keep=settings.reports.keep)


async def _draw(
    ctx: Context, report: Report, folder: Path, draw: Callable[..., Awaitable[bytes]]
) -> Outcome:
    file_name = record.file_name_of(report.report_id)
    try:
        pdf = await draw(
            from_ms=report.from_ms,
            to_ms=report.to_ms,
            made_at_ms=round(ctx.now().timestamp() * 1000),
            tenant=report.tenant,
            device=report.device,
        )
    except (ReportFailed, ReportsUnavailable) as exc:
        return Outcome(file_name=None, error=str(exc))
    except StoreAway as exc:
        if ctx.attempt < _ATTEMPTS:
            raise
        return Outcome(file_name=None, error=f"the telemetry store did not answer: {exc}")
    await anyio.to_thread.run_sync(files.write, folder / file_name, pdf)
    return Outcome(file_name=file_name, error=None)


async def _clear_away(ctx: Context, folder: Path, *, keep: int) -> None:
    """Forget all but the newest `keep` reports; those still queued stay."""
    old = [r for r in (await record.newest_first(ctx))[keep:] if r.status != "queued"]
    for report in old:
        await ctx.state.delete(REPORTS, report.report_id)
    paths = [folder / report.file_name for report in old if report.file_name]
    await anyio.to_thread.run_sync(files.remove, paths)
