"""Draw a report in a process of its own, so that it neither blocks nor burdens this one."""

import anyio
from anyio import BrokenWorkerProcess, to_process

from cloud.reports import worker
from cloud.reports.errors import ReportFailed
from cloud.reports.model import ReportModel


async def render(model: ReportModel, *, timeout_s: float) -> bytes:
    """Return the report as PDF; cancelling kills the drawing process.

    Raises:
        ReportsUnavailable: a library is missing; the text says how to install it.
        ReportFailed: it took longer than `timeout_s`, or the drawing process died.
    """
    try:
        with anyio.fail_after(timeout_s):
            return await _in_process(model, timeout_s)
    except TimeoutError as exc:
        raise ReportFailed(
            f"drawing took longer than {timeout_s:g} s: ask for a shorter period or one device, "
            "or raise [reports] timeout_s"
        ) from exc
    except BrokenWorkerProcess as exc:
        raise ReportFailed("the drawing process died; it may have run out of memory") from exc


async def _in_process(model: ReportModel, timeout_s: float) -> bytes:
    try:
        return await to_process.run_sync(worker.draw, model, timeout_s, cancellable=True)
    except BrokenWorkerProcess:
        # An idle process may have ended itself just as it was chosen: a fresh one tells.
        return await to_process.run_sync(worker.draw, model, timeout_s, cancellable=True)
