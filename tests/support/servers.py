"""Real servers on free ports."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import unused_port, wait_for_port

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
# Debian installs daemons where an ordinary user's PATH does not look.
_DAEMON_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def mosquitto_program() -> str | None:
    """Return the path of the broker, or None when it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_DAEMON_FOLDERS}")


class Mosquitto:
    """A broker on a port of its own; what it is told to keep lies in `folder`."""

    def __init__(self, program: str, *, folder: Path) -> None:
        self.host = "127.0.0.1"
        self.port = unused_port()
        self.folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address in the form of `[broker] url`."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What the broker has said so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the broker and return when it listens; what it persisted is there again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "mosquitto.conf"
        conf.write_text(self._conf())
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(conf)], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for_port(self.port, timeout_s=_START_TIMEOUT_S)
        except TimeoutError:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the broker as an operator does (SIGTERM): it saves what it has."""
        if self._process is not None:
            self._process.terminate()
            self._end(self._process)

    def kill(self) -> None:
        """Kill the broker (SIGKILL): what it had not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._end(self._process)

    def send_signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT; nothing when it does not run."""
        if self._process is not None:
            self._process.send_signal(number)

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

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _conf(self) -> str:
        return "\n".join(
            [
                f"listener {self.port} {self.host}",
                "allow_anonymous true",
                "persistence true",
                f"persistence_location {self.folder}/",
                "autosave_interval 1",
                "max_queued_messages 100000",
                # As root mosquitto becomes another user, who could not write into the folder.
                *(["user root"] if os.geteuid() == 0 else []),
                "log_type all",
                "",
            ]
        )


class SilentBroker(Mosquitto):
    """A broker to which devices may say that they are there, and nothing else."""

    def _conf(self) -> str:
        acl = self.folder / "acl"
        acl.write_text("pattern write t/+/+/status\npattern read #\n")
        return f"{super()._conf()}acl_file {acl}\n"


class NarrowBroker(Mosquitto):
    """A broker that keeps ten messages for a client that is away, and counts what it drops."""

    def _conf(self) -> str:
        lines = super()._conf().replace("max_queued_messages 100000", "max_queued_messages 10")
        return f"{lines}sys_interval 1\n"
