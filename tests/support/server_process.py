"""A server of ours in a process of its own: started on a free port, ready, stopped, killed."""

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import pytest

from tests.support.ports import unused_port, wait_for_port

# Debian installs daemons where an ordinary user's PATH does not look.
_DAEMON_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
_Program = TypeVar("_Program", str, Path)


class ServerProcess(ABC):
    """A server whose data lie in `folder`: killed and started again it has what was durable."""

    name: ClassVar[str]
    start_within_s: ClassVar[float] = 30.0
    stop_within_s: ClassVar[float] = 10.0

    def __init__(self, program: str, *, folder: Path) -> None:
        self.host = "127.0.0.1"
        self.port = unused_port()
        self.folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return self._log_file.read_text(errors="replace")

    def start(self) -> None:
        """Start the server and return when it listens; what it had stored is there again.

        Raises:
            RuntimeError: it does not listen in time; the message ends with what it said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for_port(self.port, timeout_s=self.start_within_s)
        except TimeoutError as exc:
            self.kill()
            raise RuntimeError(f"{self.name} did not start: {self.log[-2_000:]}") from exc

    def stop(self) -> None:
        """Stop the server as an operator does (SIGTERM): it saves what it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server (SIGKILL) in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang (SIGSTOP): it takes connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            self._is_paused = True

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        if self._process is not None and self._is_paused:
            self._process.send_signal(signal.SIGCONT)
        self._is_paused = False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, whatever the test did to it."""
        self.stop()

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration into the folder; return what starts the server with it."""

    @property
    def _log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        # One that hangs takes no SIGTERM.
        self.resume()
        try:
            self._process.wait(self.stop_within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def program_path(name: str) -> str | None:
    """Return the path of a server's program, or None when it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_DAEMON_FOLDERS}")


def required(program: _Program | None, *, package: str) -> _Program:
    """Return a program's path; without it the test is skipped, or fails in CI."""
    if program is not None:
        return program
    reason = f"{package} is not installed: run scripts/system-packages"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
