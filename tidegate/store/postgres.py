"""The shared store: PostgreSQL, for several processes and machines.

A commit is one statement, a call of `tidegate.commit`: it waits for the locks of what it read
and writes (`locks.py`), checks what was read, then applies. So conflicting commits of any two
connections run one after the other, and the later one sees the change. Connections are bounded
and made anew when lost; while the database is away every method raises `StoreAway`.
"""

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import structlog

from tidegate.errors import Conflict, LeaseLost, Misconfigured, NonRetriable, StoreAway
from tidegate.store.bounds import MAX_DEAD, dead_dropped
from tidegate.store.glob import glob_to_regex
from tidegate.store.locks import lock_id, locks_of
from tidegate.store.port import (
    ABSENT,
    Claim,
    Commit,
    DeadLetter,
    Delivery,
    GroupRead,
    Key,
    NewDelivery,
    Stored,
    Write,
)
from tidegate.store.statements import load_statements

_HERE = Path(__file__).parent
_SQL = load_statements(_HERE / "postgres_queries.sql")
_SCHEMA = (_HERE / "postgres_schema.sql").read_text("utf-8")
_SCHEMA_MARK = f"tidegate {lock_id(_SCHEMA):x}"
_MAX_CONNECTIONS = 8
# An api call without its database must be answered within 20 s: these two add up to less.
_ACQUIRE_TIMEOUT_S = 9.0
_COMMAND_TIMEOUT_S = 8.0
_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 3.0
_LONGEST_START_WAIT_S = 3.0
_PORTION = 5_000
_REMEMBER_EMITTED_MS = 7 * 24 * 3600 * 1000
# Classes of SQLSTATE: what was to be stored is at fault, and trying again cannot help.
_IMPOSSIBLE = ("22", "23", "54")
# The same for a start: password, database, right.
_OPERATORS = ("28", "3D", "42")

log = structlog.get_logger()


@asynccontextmanager
async def open_postgres(
    url: str, *, patience_s: float = math.inf
) -> AsyncIterator["PostgresStore"]:
    """Open the store; waits up to `patience_s` for the database to be there.

    Raises:
        Misconfigured: the URL is no such, or the database refuses user, password or name.
        StoreAway: the database did not answer in time.
    """
    pool = _pool(url)
    try:
        await _wait_until_ready(pool, patience_s)
        yield PostgresStore(pool)
    finally:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True) as closing:
            await pool.close()
        if closing.cancelled_caught:
            pool.terminate()


class PostgresStore:
    """See `tidegate.store.port.Store`."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        rows = await self._fetch("read", key.group, key.key)
        return _stored(rows[0], now_ms) if rows else Stored(None, ABSENT)

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values in order of their keys."""
        if pattern is None:
            rows = await self._fetch("read_group", group)
        else:
            rows = await self._fetch("read_pattern", group, glob_to_regex(pattern))
        return [(key, _stored(value, now_ms)) for key, *value in rows]

    async def commit(self, commit: Commit) -> None:
        """Apply a commit; durable on return."""
        with _translating():
            arguments = _commit_arguments(commit)
        [[fault]] = await self._fetch("commit", *arguments)
        if fault == "lost" and commit.done is not None:
            raise _lease_lost(commit.done)
        if fault is not None:
            raise Conflict(f"{fault} was changed")

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first."""
        rows = sorted(await self._fetch("claim", lease_until_ms, step, now_ms, limit))
        journals: dict[int, dict[str, bytes]] = {row[0]: {} for row in rows}
        # Nobody else can record any more, and before the first attempt nobody has.
        tried_before = [row[0] for row in rows if row[4] > 1]
        if tried_before:
            for delivery_id, name, result in await self._fetch("journals", tried_before):
                journals[delivery_id][name] = result
        return [Delivery._make((*row, journals[row[0]])) for row in rows]

    async def next_due_ms(self, steps: list[str]) -> int | None:
        """Return when the next delivery of these steps is due."""
        [[due_at]] = await self._fetch("next_due", steps)
        return None if due_at is None else int(due_at)

    async def record(self, claim: Claim, name: str, result: bytes) -> None:
        """Journal the result of a side effect."""
        if not await self._execute("record", name, result, *claim):
            raise _lease_lost(claim)

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back."""
        if not await self._execute("retry", due_at_ms, *claim):
            raise _lease_lost(claim)

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters."""
        claim = Claim(delivery.id, delivery.attempt)
        if not await self._execute("bury", *claim, _clean(error), _clean(stack), now_ms):
            raise _lease_lost(claim)
        dead_dropped.inc(await self._execute("trim_dead", MAX_DEAD))

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        return [DeadLetter(*row) for row in await self._fetch("dead", after_id, limit)]

    async def redrive(self, dead_id: int, now_ms: int) -> bool:
        """Make a dead letter due again."""
        return await self._execute("redrive", now_ms, dead_id) == 1

    async def purge_lapsed(self, now_ms: int) -> int:
        """Delete values whose time to live is over."""
        await self._delete_all("forget_emitted", now_ms - _REMEMBER_EMITTED_MS)
        return await self._delete_all("purge_lapsed", now_ms)

    async def _delete_all(self, name: str, until_ms: int) -> int:
        """Delete in portions, each of which fits into a command's time; returns how many rows."""
        total = deleted = await self._execute(name, until_ms, _PORTION)
        while deleted == _PORTION:
            deleted = await self._execute(name, until_ms, _PORTION)
            total += deleted
        return total

    async def _fetch(self, name: str, *arguments: object) -> list[tuple[Any, ...]]:
        with _translating():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection:
                return [tuple(row) for row in await connection.fetch(_SQL[name], *arguments)]

    async def _execute(self, name: str, *arguments: object) -> int:
        """Run a statement; returns how many rows it has changed."""
        with _translating():
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection:
                status: str = await connection.execute(_SQL[name], *arguments)
        return int(status.rpartition(" ")[2])


def _pool(url: str) -> Any:
    """Return a pool that connects when it is asked for a connection, not before."""
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=_MAX_CONNECTIONS,
        connect=_connect,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=_COMMAND_TIMEOUT_S,
        reset=_leave_as_it_is,
        server_settings={
            "application_name": "tidegate",
            # A database may have another default; the commit's checks need this one.
            "default_transaction_isolation": "read committed",
        },
    )


async def _connect(*arguments: Any, **options: Any) -> Any:
    """Connect, also when the caller gives up meanwhile: half a connection ends untidily."""
    with anyio.CancelScope(shield=True):
        return await asyncpg.connect(*arguments, **options)


async def _leave_as_it_is(_connection: object) -> None:
    """Save the round trip that resets a session: ours change nothing of theirs."""


async def _wait_until_ready(pool: Any, patience_s: float) -> None:
    give_up_at = anyio.current_time() + patience_s
    wait_s = 0.1
    while True:
        try:
            with _translating(_as_operators):
                await _prepare(pool)
        except StoreAway as exc:
            if anyio.current_time() + wait_s > give_up_at:
                raise
            log.warning("store.awaited", reason=str(exc), next_try_s=wait_s)
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_START_WAIT_S)
        else:
            return


async def _prepare(pool: Any) -> None:
    """Make the tables and functions unless this version of them is there."""
    await pool
    async with (
        pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection,
        connection.transaction(),
    ):
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != "UTF8":
            raise Misconfigured(f"the database's encoding must be UTF8, but it is {encoding}")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_id("schema"))
        mark = await connection.fetchval(
            "SELECT obj_description(to_regnamespace('tidegate'), 'pg_namespace')"
        )
        if mark != _SCHEMA_MARK:
            await connection.execute(_SCHEMA)
            await connection.execute(f"COMMENT ON SCHEMA tidegate IS '{_SCHEMA_MARK}'")


def _translated(exc: Exception) -> Exception:
    """Return what the caller is told: whether the store is away, or he asks for the impossible."""
    if isinstance(exc, asyncpg.PostgresError):
        impossible = str(exc.sqlstate).startswith(_IMPOSSIBLE)
    else:
        # What the client cannot encode is an InterfaceError, too.
        impossible = isinstance(exc, ValueError)
    if impossible:
        return NonRetriable(f"cannot be stored: {exc}")
    return StoreAway(f"state store: {exc or type(exc).__name__}")


def _as_operators(exc: Exception) -> Exception:
    """Return what a start is told: what the operator must correct, or that the store is away."""
    sqlstate = str(exc.sqlstate) if isinstance(exc, asyncpg.PostgresError) else ""
    if sqlstate.startswith(_OPERATORS) or isinstance(exc, ValueError):
        return Misconfigured(f"state store: {exc}")
    return _translated(exc)


@contextmanager
def _translating(translate: Any = _translated) -> Iterator[None]:
    """Turn the client library's errors into the runtime's."""
    try:
        yield
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as exc:
        raise translate(exc) from exc


def _lease_lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"delivery {claim.delivery_id} went to another worker")


def _stored(row: Sequence[Any], now_ms: int) -> Stored:
    data, version, expires_at = row
    lapsed = expires_at is not None and expires_at <= now_ms
    return Stored(None if lapsed else data, version)


def _clean(text: str) -> str:
    """Return the text without what PostgreSQL keeps in no text: NUL, halves of surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _commit_arguments(commit: Commit) -> list[object]:
    return [
        *_columns(locks_of(commit), 2),
        *_columns([(*key, version) for key, version in commit.reads.items()], 3),
        *_group_read_arguments(commit.group_reads),
        *(commit.done or (None, None)),
        *_write_arguments(commit.writes),
        *_columns(commit.deliveries, len(NewDelivery._fields)),
    ]


def _group_read_arguments(reads: list[GroupRead]) -> list[list[Any]]:
    rows = []
    versions: list[tuple[str, int]] = []
    for read in reads:
        versions.extend(read.versions)
        pattern = None if read.pattern is None else glob_to_regex(read.pattern)
        rows.append((read.group, pattern, len(versions)))
    return [*_columns(rows, 3), *_columns(versions, 2)]


def _write_arguments(writes: dict[Key, Write]) -> list[list[Any]]:
    return _columns([(*key, *write) for key, write in writes.items()], 4)


def _columns(rows: Any, count: int) -> list[list[Any]]:
    """Turn rows into the arrays that a statement takes; so many of them even without rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
