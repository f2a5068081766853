"""The tutorial is true: its files are written and its commands run, in their order."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.ports import unused_port

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+) (run|file=\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_START_S = 40.0


class Block(NamedTuple):
    """A fenced block: what to do with it, and its text."""

    what: str
    text: str


def _blocks(http_port: int) -> list[Block]:
    text = TUTORIAL.read_text("utf-8").replace(":8080", f":{http_port}")
    return [Block(what, body) for _, what, body in _BLOCK.findall(text)]


def _environment() -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[int]:
    """Write the tutorial's files, start the platform, and return its HTTP port."""
    port = unused_port()
    for block in _blocks(port):
        if block.what.startswith("file="):
            file = tmp_path / block.what.removeprefix("file=")
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, "utf-8")
    command = ["tidegate", "up", "--config", "tidegate.toml", "--no-simulator", "--no-agent"]
    command += ["--port", str(port), "--mqtt-port", str(unused_port())]
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=_environment(), stdout=log, stderr=log
        )
        try:
            _wait_ready(port, process, tmp_path / "up.log")
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
    pytest.fail(f"the platform is not ready:\n{log.read_text('utf-8')}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_tutorial_runs_as_printed(running: int, tmp_path: Path) -> None:
    """A newcomer who types the tutorial sees what it says."""
    commands = [block.text for block in _blocks(running) if block.what == "run"]
    script = "set -euo pipefail\n" + "\necho\n".join(commands)

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=_environment(), capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The configuration is valid." in done.stdout
    assert '{"accepted":1,"rejected":[]}' in done.stdout
    assert '"rule":"oil-too-hot"' in done.stdout
    assert '{"value":1}' in done.stdout
    assert '"payload":"oil is hot"' in done.stdout
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
