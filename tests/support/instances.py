"""A process of `tidegate start` and the commands beside it, as a user runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
_TIDEGATE = (sys.executable, "-c", "from tidegate.cli import main; main()")
_LOOK_AGAIN_S = 0.05


def tidegate(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*_TIDEGATE, *map(str, arguments)],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def tidegate_json(*arguments: object) -> Any:
    """Run a command with `--json`, and return what it prints."""
    done = tidegate(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def launched(
    folder: Path, steps: Path, port: int, *options: str, command: str = "start"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on `folder`/data until the context is left."""
    line = [*_TIDEGATE, command, "--steps", str(steps)]
    line += ["--data", str(folder / "data"), "--port", str(port), *options]
    with (folder / "start.log").open("ab") as log:
        process = subprocess.Popen(line, env=_environment(), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=10)


@contextmanager
def started(
    folder: Path, steps: Path, port: int, *options: str, command: str = "start"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on `folder`/data until the context is left; ready on entering."""
    with launched(folder, steps, port, *options, command=command) as process:
        eventually(lambda: _is_ready(port, process), timeout_s=30)
        yield process


def eventually(condition: Callable[[], bool], *, timeout_s: float = 10) -> None:
    """Wait until a condition holds; raise `TimeoutError` after `timeout_s`."""
    deadline = monotonic() + timeout_s
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError("it never held")
        Event().wait(_LOOK_AGAIN_S)


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"ended with {process.returncode}"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
