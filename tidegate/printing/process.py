"""Print in a process of its own, so that it neither blocks nor burdens this one.

A fresh process each time, not a pool: with the PDF libraries loaded an idle one keeps 100 to
240 MB, and a pool's processes run the parent's main module, whatever that may import.
"""

import os
import sys

import anyio
import msgspec

from tidegate.printing.confined import UNAVAILABLE
from tidegate.printing.errors import PrintFailed, PrintUnavailable

_MODULE = "tidegate.printing.confined"


async def print_in_process(
    content: msgspec.Struct,
    target: str,
    *,
    timeout_s: float,
    memory_bytes: int,
    places: anyio.CapacityLimiter | None = None,
) -> bytes:
    """Return the PDF that `target`, a "module:function", makes of the content.

    The function must be annotated with the content's type. Cancelling kills the process. `places`
    bound how many run at once; waiting for one counts as part of the timeout.

    Raises:
        TimeoutError: it took longer than `timeout_s`; the process is killed.
        PrintUnavailable: a library is missing; the text says how to install it.
        PrintFailed: the process failed.
    """
    command = [sys.executable, "-m", _MODULE, target, str(timeout_s), str(memory_bytes)]
    with anyio.fail_after(timeout_s):
        if places is None:
            return await _run(command, msgspec.msgpack.encode(content))
        async with places:
            return await _run(command, msgspec.msgpack.encode(content))


async def _run(command: list[str], encoded: bytes) -> bytes:
    done = await anyio.run_process(command, input=encoded, check=False, env=_environment())
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {done.returncode}"
    if done.returncode == UNAVAILABLE:
        raise PrintUnavailable(reason)
    raise PrintFailed(f"the printing process failed: {reason}")


def _environment() -> dict[str, str]:
    """Return ours, with our import path, and one thread for a library that reserves memory."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
