"""A child that outlived its parent: found by its pid file, told apart, stopped.

After a `kill -9` of us the broker is still saving its sessions, or (outside Linux) still running.
"""

import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import anyio
import structlog

from tidegate.errors import Misconfigured

_LOG = structlog.get_logger()
_STOP_TIMEOUT_S = 15.0
_LOOK_EVERY_S = 0.05
_PS_TIMEOUT_S = 5.0


class Process(NamedTuple):
    """A living process: who started it, with which command line."""

    parent_pid: int
    command: str


def write_pid_file(path: Path, pid: int) -> None:
    """Remember the child and who started it."""
    path.write_text(f"{pid} {os.getpid()}\n", "ascii")


async def stop_orphan(pid_file: Path, *, conf: Path) -> None:
    """Stop the child of an earlier run, if it is still there and really ours; wait for its end.

    It is ours when its command line names our configuration file. It gets SIGTERM, on which it
    saves its sessions, and SIGKILL when it has not ended after 15 s.

    Raises:
        Misconfigured: the process that started it lives: another instance uses the folder.
    """
    remembered = _read(pid_file)
    if remembered is None:
        return
    pid, parent_pid = remembered
    orphan = find_process(pid)
    if orphan is not None and _names(orphan, conf):
        if orphan.parent_pid == parent_pid:
            raise Misconfigured(
                f"{pid_file.parent}: process {parent_pid} runs a broker in this folder already; "
                "stop it or choose another data folder"
            )
        _LOG.warning("broker.orphan_stopping", pid=pid)
        if not await _ended_after(pid, signal.SIGTERM, conf):
            _LOG.error("broker.orphan_killed", pid=pid)
            await _ended_after(pid, signal.SIGKILL, conf)


def find_process(pid: int) -> Process | None:
    """Return the process, or None when it does not run (any more)."""
    if Path("/proc/self/stat").exists():
        return _from_proc(Path("/proc") / str(pid))
    return _from_ps(pid)


def _read(pid_file: Path) -> tuple[int, int] | None:
    try:
        pid, parent_pid = pid_file.read_text("ascii").split()
        return int(pid), int(parent_pid)
    except (OSError, ValueError):
        return None


async def _ended_after(pid: int, signal_number: int, conf: Path) -> bool:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return True
    with anyio.move_on_after(_STOP_TIMEOUT_S):
        # It is not our child, so nothing portable would tell us of its end.
        while (still := find_process(pid)) is not None and _names(still, conf):  # noqa: ASYNC110
            await anyio.sleep(_LOOK_EVERY_S)
        return True
    return False


def _names(process: Process, conf: Path) -> bool:
    return process.command.endswith(f" {conf}")


def _from_proc(folder: Path) -> Process | None:
    try:
        command = (folder / "cmdline").read_bytes()
        # After the program's name, which may contain anything but ends with the last bracket.
        state, parent_pid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    if state in ("Z", "X"):
        return None
    return Process(int(parent_pid), command.replace(b"\0", b" ").decode(errors="replace").strip())


def _from_ps(pid: int) -> Process | None:
    answer = subprocess.run(  # noqa: S603 - no shell, and the pid is a number
        ["ps", "-ww", "-o", "ppid=,stat=,args=", "-p", str(pid)],  # noqa: S607 - ps is where PATH says
        capture_output=True,
        check=False,
        text=True,
        timeout=_PS_TIMEOUT_S,
    )
    parent_pid, _, rest = answer.stdout.strip().partition(" ")
    state, _, command = rest.strip().partition(" ")
    if not parent_pid.isdigit() or state.startswith("Z"):
        return None
    return Process(int(parent_pid), command.strip())
