"""Connections to the database: bounded in number, made when needed, made anew when lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import asyncpg

from tidegate.store.postgres.faults import translating
from tidegate.store.statements import load_statements

SQL = load_statements(Path(__file__).parent / "queries.sql")
_MAX_POOLED = 4
# An api call without its database must be answered within 20 s: these two add up to less.
_ACQUIRE_TIMEOUT_S = 9.0
_COMMAND_TIMEOUT_S = 8.0
_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 3.0
_SESSION = {
    "application_name": "tidegate",
    # A database may have another default; the commit's checks need this one.
    "default_transaction_isolation": "read committed",
    "jit": "off",
}
# All statements of the hot paths look rows up by keys given in arrays, few of a table of any size:
# one plan is right for all, whatever the statistics of the moment say.
_BY_INDEX = {
    **_SESSION,
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Line:
    """A connection of its own for one loop, which runs one statement after the other."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._prepared: dict[str, Any] = {}

    async def fetch(self, name: str, *arguments: object) -> list[Any]:
        """Run a named statement; returns its rows.

        Raises:
            StoreAway: the database does not answer; the next call connects anew.
            NonRetriable: an argument cannot be stored.
        """
        with translating():
            try:
                statement = self._prepared.get(name)
                if statement is None or self._connection.is_closed():
                    statement = await self._prepare(name)
                rows: list[Any] = await statement.fetch(*arguments, timeout=_COMMAND_TIMEOUT_S)
            except (asyncpg.PostgresError, ValueError):
                # The database has refused the statement, or lost us: then we are closed.
                raise
            except BaseException:
                self.drop()
                raise
        return rows

    async def connect(self) -> Any:
        """Return the connection, made anew when there is none."""
        if self._connection is None or self._connection.is_closed():
            self.drop()
            self._connection = await _connect(
                self._url, timeout=_CONNECT_TIMEOUT_S, server_settings=_BY_INDEX
            )
        return self._connection

    def drop(self) -> None:
        """Give the connection up without a word to the database."""
        self._prepared.clear()
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _prepare(self, name: str) -> Any:
        connection = await self.connect()
        statement = await connection.prepare(SQL[name], timeout=_COMMAND_TIMEOUT_S)
        self._prepared[name] = statement
        return statement


class Pool:
    """Connections for whatever is not asked often."""

    def __init__(self, url: str) -> None:
        self.asyncpg: Any = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=_MAX_POOLED,
            connect=_connect,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            reset=_leave_as_it_is,
            server_settings=_SESSION,
        )

    def connection(self) -> Any:
        """Return a context that lends a connection."""
        return self.asyncpg.acquire(timeout=_ACQUIRE_TIMEOUT_S)

    async def fetch(self, name: str, *arguments: object) -> list[Sequence[Any]]:
        """Run a named statement; returns its rows."""
        with translating():
            async with self.connection() as connection:
                rows: list[Sequence[Any]] = await connection.fetch(SQL[name], *arguments)
                return rows

    async def value(self, name: str, *arguments: object) -> Any:
        """Run a named statement of one row; returns its first column."""
        return (await self.fetch(name, *arguments))[0][0]

    async def execute(self, name: str, *arguments: object) -> int:
        """Run a named statement; returns how many rows it has changed."""
        with translating():
            async with self.connection() as connection:
                status: str = await connection.execute(SQL[name], *arguments)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def aclose(self) -> None:
        """Close the connections, at once when the database does not answer."""
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True) as closing:
            await self.asyncpg.close()
        if closing.cancelled_caught:
            self.asyncpg.terminate()


async def _connect(*arguments: Any, **options: Any) -> Any:
    """Connect, also when the caller gives up meanwhile: half a connection ends untidily."""
    with anyio.CancelScope(shield=True):
        return await asyncpg.connect(*arguments, **options)


async def _leave_as_it_is(_connection: object) -> None:
    """Save the round trip that resets a session: ours change nothing of theirs."""
