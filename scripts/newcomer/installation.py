"""A clean clone in a folder of its own with an empty home, and the processes started there."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from scripts.newcomer.checks import CheckFailed, pause, require

_COMMAND_TIMEOUT_S = 30.0
_PROGRESS_EVERY_S = 10.0
# What belongs to the developer who runs the smoke test and not to the newcomer.
_NOT_INHERITED = ("TIDEGATE_", "XDG_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")


class Installation:
    """A clone of the repository and what a newcomer does in it."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "tidegate"
        self.data = folder / "data"
        self.log = folder / "up.log"
        self._home = folder / "home"
        self._home.mkdir()
        self._make: subprocess.Popen[bytes] | None = None

    def fetch(self, repository: Path) -> None:
        """Clone the last commit."""
        self.run("git", "clone", "--quiet", "--no-local", str(repository), str(self.clone))

    def start(self, arguments: str) -> None:
        """Run `make run` in a process group of its own, its output going to the log."""
        with self.log.open("ab") as log:
            self._make = subprocess.Popen(
                ["make", "run", f"ARGS={arguments}"],
                cwd=self.clone,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until `ready`, telling how it goes; raise `CheckFailed` when it ended before."""
        started = told = time.monotonic()
        while not ready():
            now = time.monotonic()
            code = self._process.poll()
            require(code is None, f"`make run` ended with code {code} before it was ready")
            require(now - started < timeout_s, f"not ready within {timeout_s:.0f} s")
            if now - told > _PROGRESS_EVERY_S:
                told = now
                print(f"      {now - started:4.0f} s  {self._last_line()}", flush=True)
            pause(0.2)

    def terminate(self, *, timeout_s: float) -> int:
        """Send SIGTERM to tidegate (not to make) and return the exit code of `make run`."""
        make = psutil.Process(self._process.pid)
        children, everything = make.children(), make.children(recursive=True)
        require(len(children) == 1, f"`make run` has {len(children)} children, expected tidegate")
        children[0].terminate()
        return self._wait(everything, timeout_s)

    def interrupt(self, *, timeout_s: float) -> None:
        """Do what Ctrl-C does: SIGINT to everything in the foreground."""
        everything = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGINT)
        self._wait(everything, timeout_s)

    def kill(self) -> None:
        """Kill -9 make, tidegate and whatever they started, if they run."""
        if self._make is not None and self._make.poll() is None:
            victims = psutil.Process(self._make.pid).children(recursive=True)
            os.killpg(self._make.pid, signal.SIGKILL)
            for victim in victims:
                if victim.is_running():
                    victim.kill()
            self._make.wait()

    def run(self, *command: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> str:
        """Run a command as the newcomer and return what it says.

        Raises:
            CheckFailed: it failed or did not end within `timeout_s` seconds.
        """
        code, output = self.attempt(*command, timeout_s=timeout_s)
        require(code == 0, f"{' '.join(command[:4])} … ended with code {code}: {output[-800:]}")
        return output

    def attempt(self, *command: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> tuple[int, str]:
        """Run a command that may fail; return its exit code and what it says."""
        try:
            done = subprocess.run(
                command,
                cwd=self.clone if self.clone.exists() else self.clone.parent,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise CheckFailed(f"{' '.join(command[:4])} … ran longer than {timeout_s} s") from exc
        return done.returncode, done.stdout + done.stderr

    def tidegate(self, *arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> str:
        """Run the installed command."""
        return self.run(str(self.clone / ".venv/bin/tidegate"), *arguments, timeout_s=timeout_s)

    def said(self) -> str:
        """Return all that `make run` has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def environment(self) -> dict[str, str]:
        """Return the environment of somebody who has just logged in for the first time."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
        own_bin = str(Path(__file__).parents[2] / ".venv/bin")
        path = [part for part in kept.get("PATH", "").split(":") if part != own_bin]
        return {**kept, "HOME": str(self._home), "PATH": ":".join(path)}

    @property
    def _process(self) -> "subprocess.Popen[bytes]":
        if self._make is None:
            raise CheckFailed("`make run` was not started")
        return self._make

    def _wait(self, everything: list[psutil.Process], timeout_s: float) -> int:
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise CheckFailed(f"still running after {timeout_s} s") from exc
        _, left = psutil.wait_procs(everything, timeout=1.0)
        require(not left, f"left behind: {[process.pid for process in left]}")
        return code

    def _last_line(self) -> str:
        lines = self.said().strip().splitlines()
        return lines[-1][:100] if lines else "…"


def mosquitto_pub() -> str:
    """Return the path of Mosquitto's publisher, which stands for any foreign device."""
    program = shutil.which("mosquitto_pub")
    require(program, "mosquitto_pub is not installed: run scripts/system-packages")
    return str(program)
