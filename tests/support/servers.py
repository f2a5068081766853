"""Mosquitto as tests need it, each on a free port."""

import os
from typing import ClassVar

from tests.support.server_process import ServerProcess, program_path


def mosquitto_program() -> str | None:
    """Return the path of the broker, or None when it is not installed."""
    return program_path("mosquitto")


class Mosquitto(ServerProcess):
    """A broker that lets anybody in, and keeps what is queued."""

    name: ClassVar[str] = "mosquitto"
    start_within_s: ClassVar[float] = 10.0
    stop_within_s: ClassVar[float] = 5.0

    @property
    def url(self) -> str:
        """The address in the form of `[broker] url`."""
        return f"mqtt://{self.host}:{self.port}"

    def _command(self) -> list[str]:
        conf = self.folder / "mosquitto.conf"
        conf.write_text(self._conf())
        return [self._program, "-c", str(conf)]

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
