"""Draw a report in a process of its own, so that it neither blocks nor burdens this one.

A fresh process each time, not a pool: with the PDF libraries loaded an idle one keeps 240 MB,
and a pool's processes run the parent's main module, whatever that may import.
"""

import os
import sys

import anyio
import msgspec

from cloud.reports.errors import ReportFailed, ReportsUnavailable
from cloud.reports.model import ReportModel
from cloud.reports.worker import UNAVAILABLE

_MODULE = "cloud.reports.worker"


async def render(model: ReportModel, *, timeout_s: float) -> bytes:
    """Return the report as PDF; cancelling kills the drawing process.

    Raises:
        ReportsUnavailable: a library is missing; the text says how to install it.
        ReportFailed: it took longer than `timeout_s`, or the drawing process failed.
    """
    try:
        with anyio.fail_after(timeout_s):
            return await _in_process(model, timeout_s)
    except TimeoutError as exc:
        raise ReportFailed(
            f"drawing took longer than {timeout_s:g} s: ask for a shorter period or one device, "
            "or raise [reports] timeout_s"
        ) from exc


async def _in_process(model: ReportModel, timeout_s: float) -> bytes:
    done = await anyio.run_process(
        [sys.executable, "-m", _MODULE, str(timeout_s)],
        input=msgspec.msgpack.encode(model),
        check=False,
        env=_environment(),
    )
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {done.returncode}"
    if done.returncode == UNAVAILABLE:
        raise ReportsUnavailable(reason)
    raise ReportFailed(f"the drawing process failed: {reason}")


def _environment() -> dict[str, str]:
    """Return ours, with our import path, and one thread for a library that reserves memory."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
