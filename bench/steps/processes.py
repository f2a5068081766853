"""Processes of the bench: started on their core, their errors shown, none left behind."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.broker import await_port, free_port
from bench.cores import MEASURED, on_core

_START_S = 30.0
_STOP_S = 15.0
_ERROR_LINES = 15


class Failed(Exception):
    """A process of the bench ended with an error; the message has the end of what it said."""


def found_by(module: str, *arguments: str, core: int, timeout_s: float) -> dict[str, Any]:
    """Run one of the bench's modules to its end; returns the JSON object of its last line.

    Raises:
        Failed: it ended with an error, or not in time.
    """
    output = output_of([sys.executable, "-m", module, *arguments], core=core, timeout_s=timeout_s)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def output_of(command: list[str], *, core: int, timeout_s: float) -> str:
    """Run a command to its end; returns what it printed.

    Raises:
        Failed: it ended with an error, or not in time.
    """
    what = " ".join(command[:5])
    with on_core(core):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise Failed(f"{what} has not ended after {timeout_s:.0f} s") from exc
    if done.returncode:
        raise Failed(f"{what} failed:\n{_end_of(done.stderr or done.stdout)}")
    return done.stdout


@contextmanager
def http_server(name: str, folder: Path) -> Iterator[int]:
    """Run an HTTP contender on the measured core, its data in a new folder; gives its port.

    Raises:
        Failed: it does not start.
    """
    port = free_port()
    command = [sys.executable, "-m", "bench.steps.http_server", name, "--port", str(port)]
    with tempfile.TemporaryDirectory(dir=folder) as own:
        log = Path(own) / "log"
        with log.open("w") as output, on_core(MEASURED):
            server = subprocess.Popen(
                [*command, "--folder", f"{own}/data"], stdout=output, stderr=output
            )
        try:
            _await(name, port, log)
            yield port
        finally:
            _stop(server)


def _await(name: str, port: int, log: Path) -> None:
    try:
        await_port(port, timeout_s=_START_S)
    except OSError as exc:
        raise Failed(f"{name} does not serve:\n{_end_of(log.read_text())}") from exc


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-_ERROR_LINES:])
