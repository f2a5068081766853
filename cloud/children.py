"""Child processes of `tidegate up`: the edge agent of this machine and the simulated fleet.

They are what a device would run, and speak to us only over MQTT. A child that ends is started
again with growing pauses; none outlives us.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import anyio
import structlog

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_STEADY_S = 60.0
_STOP_TIMEOUT_S = 3.0
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


async def keep_running(
    name: str,
    module: str,
    *,
    environ: Mapping[str, str],
    arguments: Sequence[str] = (),
    stdin: bytes = b"",
) -> None:
    """Run `python -m module` until cancelled, and again whenever it ends."""
    pause_s = _FIRST_PAUSE_S
    while True:
        started = anyio.current_time()
        code = await _run_once(module, environ, arguments, stdin)
        steady = anyio.current_time() - started > _STEADY_S
        pause_s = _FIRST_PAUSE_S if steady else min(pause_s * 2, _LONGEST_PAUSE_S)
        log.warning("child.ended", child=name, code=code, again_in_s=pause_s)
        await anyio.sleep(pause_s)


async def _run_once(
    module: str, environ: Mapping[str, str], arguments: Sequence[str], stdin: bytes
) -> int:
    process = await anyio.open_process(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None,
        env={**os.environ, **environ},
        # A terminal's Ctrl-C is ours: the child is told when its messages can no longer be taken.
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    try:
        if process.stdin is not None:
            await process.stdin.send(stdin)
            await process.stdin.aclose()
        return await process.wait()
    finally:
        await _stop(process)


async def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    with anyio.move_on_after(_STOP_TIMEOUT_S, shield=True):
        await process.wait()
        return
    process.kill()


def _end_with_parent() -> None:
    """Ask the kernel to end this child with us, even after `kill -9` (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
