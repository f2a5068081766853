"""The embedded store: one SQLite file, one writer that commits in groups.

Callers' operations gather while the writer is busy; it then runs all of them in one SQLite
transaction, so that one fsync serves many. Each operation has a savepoint of its own: one that
fails undoes nothing of the others. Reads go to a connection of their own, which sees every
commit at once (WAL); they take microseconds and need no thread.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread

from tidegate.errors import Conflict, LeaseLost, Misconfigured, NonRetriable, StoreAway
from tidegate.store.bounds import MAX_DEAD, dead_dropped
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
)
from tidegate.store.statements import load_statements

_HERE = Path(__file__).parent
_SQL = load_statements(_HERE / "sqlite_queries.sql")
_SCHEMA = (_HERE / "sqlite_schema.sql").read_text("utf-8")
_BUSY_TIMEOUT_S = 15.0
_MAX_GROUP = 256
_REMEMBER_EMITTED_MS = 7 * 24 * 3600 * 1000

T = TypeVar("T")


class _Operation(Generic[T]):
    """One caller's work in the writer's transaction, and the event that ends its wait."""

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.done = anyio.Event()
        self.result: T | None = None
        self.error: Exception | None = None


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator["SqliteStore"]:
    """Open the store and run its writer; on leaving, what was handed in is written first.

    Raises:
        Misconfigured: the file cannot be opened or is not a database.
    """
    store = SqliteStore(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.write_forever)
        try:
            yield store
        finally:
            await store.aclose()


class SqliteStore:
    """See `tidegate.store.port.Store`."""

    def __init__(self, path: Path) -> None:
        try:
            self._writer = _connect(path)
            self._writer.executescript(_SCHEMA)
            self._reader = _connect(path)
        except sqlite3.Error as exc:
            raise Misconfigured(f"{path}: {exc}") from exc
        self._waiting: list[_Operation[Any]] = []
        self._work_came = anyio.Event()
        self._closing = False
        self._closed = anyio.Event()

    async def aclose(self) -> None:
        """Write what is waiting, then close the file."""
        self._closing = True
        self._work_came.set()
        with anyio.CancelScope(shield=True):
            await self._closed.wait()

    async def write_forever(self) -> None:
        """Commit waiting operations in groups until closed; run by `open_sqlite`."""
        with anyio.CancelScope(shield=True):
            try:
                while self._waiting or not self._closing:
                    await self._write_next()
            finally:
                self._writer.close()
                self._reader.close()
                self._closed.set()

    async def _write_next(self) -> None:
        if not self._waiting:
            self._work_came = anyio.Event()
            await self._work_came.wait()
        group, self._waiting = self._waiting[:_MAX_GROUP], self._waiting[_MAX_GROUP:]
        if group:
            await to_thread.run_sync(self._run_group, group)
        for operation in group:
            operation.done.set()

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        row = self._query("read", key.group, key.key)
        if not row:
            return Stored(None, ABSENT)
        data, version, expires_at = row[0]
        return _stored(data, version, expires_at, now_ms)

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values in order of their keys."""
        rows = self._reading(lambda db: _group_rows(db, group, pattern))
        return [
            (key, _stored(data, version, expires, now_ms)) for key, data, version, expires in rows
        ]

    async def commit(self, commit: Commit) -> None:
        """Apply a commit; durable on return."""
        if commit.writes or commit.deliveries or commit.done:
            await self._write(lambda db: _apply(db, commit))
        else:
            self._reading(lambda db: _check_reads(db, commit))

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first."""
        return await self._write(lambda db: _claim(db, step, limit, now_ms, lease_until_ms))

    async def next_due_ms(self, steps: list[str]) -> int | None:
        """Return when the next delivery of these steps is due."""
        times = [self._query("next_due", step)[0][0] for step in steps]
        return min((time for time in times if time is not None), default=None)

    async def record(self, claim: Claim, name: str, result: bytes) -> None:
        """Journal the result of a side effect."""
        await self._write(
            lambda db: _expect_claim(db.execute(_SQL["record"], (name, result, *claim)), claim)
        )

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back."""
        await self._write(
            lambda db: _expect_claim(db.execute(_SQL["retry"], (due_at_ms, *claim)), claim)
        )

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters."""
        await self._write(lambda db: _bury(db, delivery, error, stack, now_ms))

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        return [DeadLetter(*row) for row in self._query("dead", after_id, limit)]

    async def redrive(self, dead_id: int, now_ms: int) -> bool:
        """Make a dead letter due again."""
        return await self._write(lambda db: _redrive(db, dead_id, now_ms))

    async def purge_lapsed(self, now_ms: int) -> int:
        """Delete values whose time to live is over."""
        return await self._write(lambda db: _purge_lapsed(db, now_ms))

    def _query(self, name: str, *arguments: object) -> list[Any]:
        return self._reading(lambda db: db.execute(_SQL[name], arguments).fetchall())

    def _reading(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Read in one snapshot of the database."""
        try:
            self._reader.execute("BEGIN")
            try:
                return read(self._reader)
            finally:
                self._reader.execute("COMMIT")
        except sqlite3.Error as exc:
            raise StoreAway(f"state store: {exc}") from exc

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closing:
            raise StoreAway("state store is closing")
        operation = _Operation(work)
        self._waiting.append(operation)
        self._work_came.set()
        await operation.done.wait()
        if operation.error is not None:
            raise operation.error
        return operation.result  # type: ignore[return-value]  # set when there is no error

    def _run_group(self, group: list[_Operation[Any]]) -> None:
        """Run a group in one transaction, in the writer's thread."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for operation in group:
                self._run_one(operation)
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for operation in group:
                operation.error = StoreAway(f"state store: {exc}")

    def _run_one(self, operation: _Operation[Any]) -> None:
        """Run one operation; whatever it raises is its caller's and undoes nothing else."""
        self._writer.execute("SAVEPOINT operation")
        try:
            operation.result = operation.work(self._writer)
        except Exception as exc:  # noqa: BLE001 - handed to the caller, who waits for it
            operation.error = _translated(exc)
            # A full disk has rolled the whole transaction back already: then this raises.
            self._writer.execute("ROLLBACK TO operation")
        self._writer.execute("RELEASE operation")


def _translated(exc: Exception) -> Exception:
    """Return what the caller is told: whether the store is away, or he asks for the impossible."""
    if isinstance(exc, sqlite3.OperationalError):
        return StoreAway(f"state store: {exc}")
    if isinstance(exc, (sqlite3.Error, OverflowError, UnicodeEncodeError)):
        return NonRetriable(f"cannot be stored: {exc}")
    return exc


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _stored(data: bytes, version: int, expires_at: int | None, now_ms: int) -> Stored:
    lapsed = expires_at is not None and expires_at <= now_ms
    return Stored(None if lapsed else data, version)


def _group_rows(db: sqlite3.Connection, group: str, pattern: str | None) -> list[Any]:
    if pattern is None:
        return db.execute(_SQL["read_group"], (group,)).fetchall()
    return db.execute(_SQL["read_pattern"], (group, pattern)).fetchall()


def _apply(db: sqlite3.Connection, commit: Commit) -> None:
    _check_reads(db, commit)
    if commit.done is not None:
        _finish(db, commit.done)
    _write_values(db, commit)
    for delivery in commit.deliveries:
        _deliver(db, delivery)


def _check_reads(db: sqlite3.Connection, commit: Commit) -> None:
    for key, version in commit.reads.items():
        row = db.execute(_SQL["read"], key).fetchone()
        if (row[1] if row else ABSENT) != version:
            raise Conflict(f"{key.group}/{key.key} was changed")
    for read in commit.group_reads:
        _check_group(db, read)


def _check_group(db: sqlite3.Connection, read: GroupRead) -> None:
    rows = _group_rows(db, read.group, read.pattern)
    if tuple((key, version) for key, _, version, _ in rows) != read.versions:
        raise Conflict(f"group {read.group} was changed")


def _finish(db: sqlite3.Connection, claim: Claim) -> None:
    _expect_claim(db.execute(_SQL["finish"], claim), claim)
    db.execute(_SQL["forget_journal"], (claim.delivery_id,))


def _expect_claim(changed: sqlite3.Cursor, claim: Claim) -> None:
    if changed.rowcount != 1:
        raise LeaseLost(f"delivery {claim.delivery_id} went to another worker")


def _write_values(db: sqlite3.Connection, commit: Commit) -> None:
    if not commit.writes:
        return
    version = db.execute(_SQL["tick"]).fetchone()[0]
    for key, write in commit.writes.items():
        if write.data is None:
            db.execute(_SQL["delete"], key)
        else:
            row = (key.group, key.key, write.data, version, write.expires_at_ms)
            db.execute(_SQL["write"], row)


def _deliver(db: sqlite3.Connection, new: NewDelivery) -> None:
    if new.dedup is not None:
        row = (new.topic, new.dedup, new.step, new.due_at_ms)
        if db.execute(_SQL["remember_emitted"], row).rowcount == 0:
            return
    db.execute(_SQL["deliver"], (new.step, new.topic, new.payload, new.due_at_ms, new.trace_id))


def _claim(
    db: sqlite3.Connection, step: str, limit: int, now_ms: int, lease_until_ms: int
) -> list[Delivery]:
    rows = db.execute(_SQL["claim"], (lease_until_ms, step, now_ms, limit)).fetchall()
    claimed = []
    for delivery_id, name, topic, payload, attempt, trace_id in sorted(rows):
        journal = dict(db.execute(_SQL["journal_of"], (delivery_id,)).fetchall())
        claimed.append(Delivery(delivery_id, name, topic, payload, attempt, trace_id, journal))
    return claimed


def _bury(db: sqlite3.Connection, delivery: Delivery, error: str, stack: str, now_ms: int) -> None:
    _finish(db, Claim(delivery.id, delivery.attempt))
    row = (
        delivery.step, delivery.topic, delivery.payload, error, stack,
        delivery.attempt, now_ms, delivery.trace_id,
    )  # fmt: skip
    db.execute(_SQL["bury"], row)
    dead_dropped.inc(db.execute(_SQL["trim_dead"], (MAX_DEAD,)).rowcount)


def _redrive(db: sqlite3.Connection, dead_id: int, now_ms: int) -> bool:
    if db.execute(_SQL["redrive"], (now_ms, dead_id)).rowcount == 0:
        return False
    db.execute(_SQL["undead"], (dead_id,))
    return True


def _purge_lapsed(db: sqlite3.Connection, now_ms: int) -> int:
    db.execute(_SQL["forget_emitted"], (now_ms - _REMEMBER_EMITTED_MS,))
    return db.execute(_SQL["purge_lapsed"], (now_ms,)).rowcount
