"""A real PostgreSQL on a free port, and a fresh database for each test."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import pytest

from tests.support.ports import unused_port
from tests.support.server_process import required

_TIMEOUT_S = 50.0
# Debian keeps the server's programs where nobody's PATH looks, a folder for each version.
_DEBIAN = Path("/usr/lib/postgresql")


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None when it is not installed."""
    found = [*_DEBIAN.glob("*/bin/initdb"), shutil.which("initdb")]
    newest = sorted((Path(file).resolve() for file in found if file), key=_version)
    return newest[-1].parent if newest else None


def _version(program: Path) -> int:
    name = program.parent.parent.name
    return int(name) if name.isdigit() else 0


class Postgres:
    """A server of its own. It refuses to run as root, so then it runs as user `postgres`."""

    def __init__(self, programs: Path) -> None:
        self.port = unused_port()
        self._programs = programs
        # Not below pytest's folder: that one is closed to user postgres.
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-postgres-"))
        self._user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)

    def start(self) -> None:
        """Start the server and return when it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k ''"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-t", f"{_TIMEOUT_S:.0f}", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server at once: clients lose their connections, what is committed stays."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of the server's databases."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; returns its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tests", "-w", name)
        return self.url(name)

    def __enter__(self) -> Self:
        """Make the cluster, then start it."""
        options = ["-A", "trust", "-U", "tests", "-E", "UTF8", "--locale", "C.UTF-8"]
        self._run("initdb", *options)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and remove what it kept."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "PGDATA": str(self._folder / "data")}
        done = subprocess.run(
            [self._programs / program, *arguments],
            env=environment,
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")


def _programs() -> Path:
    return required(postgres_programs(), package="postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run one real PostgreSQL for the whole session; each test has a database of its own."""
    with Postgres(_programs()) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL for this test alone, which may stop it and start it again."""
    with Postgres(_programs()) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """Return the URL of a new, empty database."""
    return postgres.new_database()


async def sql(url: str, statement: str, *arguments: object) -> list[Any]:
    """Return the rows that a statement gives, on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()
