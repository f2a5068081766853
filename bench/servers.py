"""Redis and PostgreSQL of the bench's own: free ports, temporary folders, gone at the end."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.broker import await_port, free_port
from bench.cores import OTHER, on_core

_TIMEOUT_S = 60.0
# Debian keeps PostgreSQL's programs where nobody's PATH looks, a folder for each version.
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_IN_MEMORY = ("tmpfs", "ramfs")


class Unprepared(Exception):
    """This machine cannot run the measurement; the message says what to do."""


def program(name: str, *, package: str) -> str:
    """Return the path of a program.

    Raises:
        Unprepared: it is not installed; the message names Debian's package.
    """
    found = shutil.which(name)
    if found is None:
        raise Unprepared(f"{name} is not installed: apt-get install {package}")
    return found


def packages(*names: str) -> None:
    """See that Python packages are there, which are installed for the measurement alone.

    Raises:
        Unprepared: one is not.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise Unprepared(f"not installed: {', '.join(missing)}; 'make bench NAME=steps' does it")


@contextmanager
def folder_on_disk() -> Iterator[Path]:
    """Make a temporary folder, in TMPDIR or /var/tmp.

    Raises:
        Unprepared: it would lie in memory, where waiting for the disk costs nothing.
    """
    parent = Path(os.environ.get("TMPDIR", "/var/tmp"))
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", parent], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
    if kind in _IN_MEMORY:
        raise Unprepared(f"{parent} is in memory ({kind}): set TMPDIR to a folder on a disk")
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-", dir=parent) as name:
        yield Path(name)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run an empty Redis; the value is its URL.

    It appends to a file that it syncs once a second: what Redis advises. It is faster than what
    the other contenders promise, of whose acknowledged work nothing is lost.
    """
    port = free_port()
    command = [program("redis-server", package="redis-server"), "--port", str(port)]
    command += ["--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    command += ["--appendfsync", "everysec", "--dbfilename", f"{port}.rdb"]
    command += ["--appenddirname", f"redis-{port}"]
    with on_core(OTHER):
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    with server:
        try:
            await_port(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


@contextmanager
def postgres(folder: Path) -> Iterator["Postgres"]:
    """Run a PostgreSQL with its defaults: fsync and synchronous_commit are on."""
    server = Postgres(folder / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Postgres:
    """A server of its own. It refuses to run as root, so then it runs as user `postgres`."""

    def __init__(self, folder: Path) -> None:
        self._programs = _postgres_programs()
        self._port = free_port()
        self._folder = folder
        self._user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None

    def start(self) -> None:
        """Make the cluster and start the server."""
        self._folder.mkdir()
        if self._user:
            # The folder around it is the bench's: user postgres must get through.
            self._folder.parent.chmod(0o755)
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-A", "trust", "-U", "bench", "-E", "UTF8", "--locale", "C.UTF-8")
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k ''"
        log = str(self._folder / "log")
        with on_core(OTHER):
            self._run("pg_ctl", "-w", "-t", f"{_TIMEOUT_S:.0f}", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """Make an empty database; returns its URL."""
        name = f"bench_{secrets.token_hex(6)}"
        server = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "bench", "-w"]
        self._run("createdb", *server, name)
        return f"postgresql://bench@127.0.0.1:{self._port}/{name}"

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / name, *arguments],
            env={**os.environ, "PGDATA": str(self._folder / "data")},
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
            # Ctrl-C is the bench's: it stops the server when nobody uses it any more.
            start_new_session=True,
        )
        if done.returncode:
            raise Unprepared(f"{name}: {done.stderr.decode(errors='replace').strip()}")


def _postgres_programs() -> Path:
    found = [*_DEBIAN_POSTGRES.glob("*/bin/initdb"), shutil.which("initdb")]
    newest = sorted((Path(file).resolve() for file in found if file), key=_version)
    if not newest:
        raise Unprepared("PostgreSQL is not installed: apt-get install postgresql")
    return newest[-1].parent


def _version(initdb: Path) -> int:
    name = initdb.parent.parent.name
    return int(name) if name.isdigit() else 0


def stop_on_sigterm() -> None:
    """Let SIGTERM end the bench as Ctrl-C does: by an exception, so that servers are stopped."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
