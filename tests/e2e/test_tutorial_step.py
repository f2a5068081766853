"""The first-step tutorial is true: its files are written, its commands run, their output is shown.

A block is marked by what is to be done with it: `file=` is written, `line file=` replaces the
first line of a file, `start` is left running, and of `run` each command prints what follows it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.support.instances import eventually

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial-step.md"
_BLOCK = re.compile(r"^```(?:python|console) ([^\n]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ ([^\n]+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
# Only reading commands are run again until they print what is shown: events take a moment.
_READS = ("tidegate dead list", "tidegate state get")
_PATIENCE_S = 20.0


class Reader:
    """Somebody who does what the page says, in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.log = folder / "start.log"
        self._folder = folder
        self._port = port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """End what is running."""
        self._stack.close()

    def follow(self, mark: str, text: str) -> None:
        """Do what a block says."""
        if "file=" in mark:
            self._write(mark, text)
        elif mark == "start":
            [(command, _)] = _COMMAND.findall(text)
            self._stack.enter_context(self._running(f"{command} --port {self._port}"))
        else:
            assert mark == "run"
            for command, shown in _COMMAND.findall(text):
                self._run(command.replace(":8080", f":{self._port}"), shown)

    def _write(self, mark: str, text: str) -> None:
        file = self._folder / mark.partition("file=")[2]
        file.parent.mkdir(exist_ok=True)
        if not mark.startswith("line "):
            file.write_text(text, "utf-8")
            return
        reloads = self._reloads()
        rest = file.read_text("utf-8").partition("\n")[2]
        file.write_text(text + rest, "utf-8")
        eventually(lambda: self._reloads() > reloads, timeout_s=_PATIENCE_S)

    def _reloads(self) -> int:
        return self.log.read_text("utf-8").count('"steps.reloaded"')

    def _run(self, command: str, shown: str) -> None:
        printed = ""

        def prints_it() -> bool:
            nonlocal printed
            printed = self._output_of(command)
            return _fits(shown, printed)

        try:
            eventually(prints_it, timeout_s=_PATIENCE_S if command.startswith(_READS) else 0)
        except TimeoutError:
            pytest.fail(f"$ {command}\n{printed}\n{self._said()}\n\nbut the page shows\n\n{shown}")

    def _output_of(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self._folder, env=_environment(),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout

    def _said(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""

    @contextmanager
    def _running(self, command: str) -> Iterator[None]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command.split(), cwd=self._folder, env=_environment(), stdout=log, stderr=log
            )
        try:
            eventually(lambda: self._is_ready(process), timeout_s=30)
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self._said()
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/ready", timeout=5).is_success
        except httpx.TransportError:
            return False


def _fits(shown: str, printed: str) -> bool:
    """Tell whether the output is what the page shows; `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def _environment() -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_tutorial_step_runs_as_printed(tmp_path: Path, free_port: int) -> None:
    """A newcomer who types the tutorial sees, command by command, what it says."""
    blocks = _BLOCK.findall(TUTORIAL.read_text("utf-8"))

    with Reader(tmp_path, free_port) as reader:
        for mark, text in blocks:
            reader.follow(mark, text)

    assert [mark.partition("=")[0] for mark, _ in blocks].count("run") == 5
