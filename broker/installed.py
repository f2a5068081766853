"""The Mosquitto that is installed on this machine, if there is one."""

import os
import shutil

import anyio

from tidegate.errors import Misconfigured

# Debian installs daemons where an ordinary user's PATH does not look.
_DAEMON_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_VERSION_TIMEOUT_S = 10.0
_NO_SLASH_IN_PATTERNS = (2, 1)


class Program:
    """An installed Mosquitto: where, and which version."""

    def __init__(self, path: str, version: str) -> None:
        self.path = path
        self.version = version

    @property
    def patterns_cover_slashes(self) -> bool:
        """Whether `%u` in an ACL stands for the whole of `tenant/device`."""
        numbers = tuple(int(part) for part in self.version.split(".")[:2] if part.isdigit())
        return numbers < _NO_SLASH_IN_PATTERNS


def find_program() -> str | None:
    """Return the path of mosquitto, or None when it is not installed."""
    folders = os.pathsep.join((os.environ.get("PATH", ""), *_DAEMON_FOLDERS))
    return shutil.which("mosquitto", path=folders)


async def ask_version(path: str) -> Program:
    """Ask the program for its version.

    Raises:
        Misconfigured: it does not run.
    """
    try:
        with anyio.fail_after(_VERSION_TIMEOUT_S):
            answer = await anyio.run_process([path, "-h"], check=False)
    except (OSError, TimeoutError) as exc:
        raise Misconfigured(f"{path} does not run: {exc}") from exc
    words = answer.stdout.decode(errors="replace").split()
    if words[:2] != ["mosquitto", "version"] or len(words) < 3:  # noqa: PLR2004 - name, word, version
        raise Misconfigured(f"{path} does not say its version: is it mosquitto?")
    return Program(path, words[2])
