"""Draw a report in a process of its own; what goes wrong there becomes an error of the reports."""

from cloud.reports.errors import ReportFailed, ReportsUnavailable
from cloud.reports.model import ReportModel
from tidegate.printing.errors import PrintFailed, PrintUnavailable
from tidegate.printing.process import print_in_process

_TARGET = "cloud.reports.document:typeset"
_MEMORY_BYTES = 3 * 1024**3


async def render(model: ReportModel, *, timeout_s: float) -> bytes:
    """Return the report as PDF; cancelling kills the drawing process.

    Raises:
        ReportsUnavailable: a library is missing; the text says how to install it.
        ReportFailed: it took longer than `timeout_s`, or the drawing process failed.
    """
    try:
        return await print_in_process(
            model, _TARGET, timeout_s=timeout_s, memory_bytes=_MEMORY_BYTES
        )
    except TimeoutError as exc:
        raise ReportFailed(
            f"drawing took longer than {timeout_s:g} s: ask for a shorter period or one device, "
            "or raise [reports] timeout_s"
        ) from exc
    except PrintUnavailable as exc:
        raise ReportsUnavailable(str(exc)) from exc
    except PrintFailed as exc:
        raise ReportFailed(str(exc)) from exc
