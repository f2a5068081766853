"""The embedded store: one SQLite file.

Writes go to one writer, which commits in groups (`writer.py`). Reads go to a connection of their
own, which sees every commit at once (WAL); they take microseconds and need no thread.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio

from tidegate.errors import Misconfigured, NonRetriable, StoreAway
from tidegate.store.bounds import KEEP_CHANGES_MS, REMEMBER_EMITTED_MS
from tidegate.store.model import (
    ABSENT,
    MAX_DEAD_ID,
    Claim,
    Commit,
    Committed,
    DeadLetter,
    DeadSummary,
    Delivery,
    Frame,
    Key,
    Lapsed,
    Stored,
    StreamChange,
    StreamSnapshot,
    Waiter,
    stream_group,
)
from tidegate.store.sqlite import deliveries
from tidegate.store.sqlite.commits import Group, apply, check_reads, group_rows
from tidegate.store.sqlite.migrations import migrate
from tidegate.store.sqlite.statements import SQL
from tidegate.store.sqlite.writer import BUSY_TIMEOUT_S, Writer

# A commit of more rows than this would hold the event loop up.
_MANY_ROWS = 500
_READ = SQL["read"]

T = TypeVar("T")


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator["SqliteStore"]:
    """Open the store and run its writer; on leaving, what was handed in is written first.

    Raises:
        Misconfigured: the file cannot be opened or is not a database.
    """
    store = SqliteStore(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.writer.run)
        try:
            yield store
        finally:
            await store.aclose()


class SqliteStore:
    """See `tidegate.store.port.Store`."""

    def __init__(self, path: Path) -> None:
        try:
            db = _connect(path)
            migrate(db)
            self._reader = _connect(path)
            db.execute("PRAGMA busy_timeout = 0")
        except (sqlite3.Error, Misconfigured) as exc:
            raise Misconfigured(f"{path}: {exc}") from exc
        self._db = db
        self._group = Group(db)
        self.writer = Writer(db, begin_group=self._group.begin)

    async def aclose(self) -> None:
        """Write what is waiting, then close the file."""
        await self.writer.aclose()
        self._reader.close()
        self._db.close()

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        try:
            row = self._reader.execute(_READ, key).fetchone()
        except UnicodeEncodeError as exc:
            raise NonRetriable(f"cannot be stored: {exc}") from exc
        except sqlite3.Error as exc:
            raise StoreAway(f"state store: {exc}") from exc
        return _stored(row, now_ms) if row else Stored(None, ABSENT)

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values in order of their keys."""
        rows = self._reading(lambda db: group_rows(db, group, pattern))
        return [(key, _stored(row, now_ms)) for key, *row in rows]

    async def commit(self, commit: Commit) -> Committed:
        """Apply a commit; durable on return."""
        if commit.only_reads:
            self._in_snapshot(lambda db: check_reads(db, commit))
            return Committed()
        rows = len(commit.events) + len(commit.writes) + len(commit.changes) + len(commit.done)
        return await self.writer.write(
            lambda db: apply(db, commit, self._group), heavy=rows > _MANY_ROWS
        )

    async def groups(self, *, limit: int, after: str = "") -> list[tuple[str, int]]:
        """Return names of groups with their numbers of keys."""
        return self._rows("groups", after, limit)

    async def keys(self, group: str, *, limit: int, now_ms: int, after: str = "") -> list[str]:
        """Return the keys of a group, in order."""
        return [key for (key,) in self._rows("keys", group, after, now_ms, limit)]

    async def purge(self, now_ms: int) -> int:
        """Delete what is too old."""

        def work(db: sqlite3.Connection) -> int:
            db.execute(SQL["forget_emitted"], (now_ms - REMEMBER_EMITTED_MS,))
            db.execute(SQL["forget_changes"], (now_ms - KEEP_CHANGES_MS,))
            return db.execute(SQL["purge_lapsed"], (now_ms,)).rowcount

        return await self.writer.write(work, heavy=True)

    async def lapsed(self, *, limit: int, now_ms: int) -> list[Lapsed]:
        """Return lapsed values whose event is not emitted yet."""
        if self._one("anything_lapsed", now_ms):
            await self.writer.write(lambda db: _keep_lapsed(db, now_ms), heavy=True)
        rows = self._rows("lapsed", limit)
        return [Lapsed(number, Key(group, key), *rest) for number, group, key, *rest in rows]

    async def next_lapse_ms(self) -> int | None:
        """Return when the next value with `on_expire` lapses."""
        due: int | None = self._one("next_lapse")[0]
        return due

    async def snapshot(self, name: str, group: str) -> StreamSnapshot:
        """Return a group of a stream as of one moment."""

        def read(db: sqlite3.Connection) -> StreamSnapshot:
            head = db.execute(SQL["head"], (name, group)).fetchone()
            rows = group_rows(db, stream_group(name, group), None)
            return StreamSnapshot(head[0] if head else 0, [(row[0], row[1]) for row in rows])

        return self._in_snapshot(read)

    async def changes(self, name: str, group: str, *, after: int, limit: int) -> list[Frame] | None:
        """Return the changes after a number, None when they are not kept so far."""

        def read(db: sqlite3.Connection) -> list[Frame] | None:
            place = (name, group)
            head = db.execute(SQL["head"], place).fetchone()
            last = head[0] if head else 0
            oldest = db.execute(SQL["oldest_change"], place).fetchone()[0] or last + 1
            if not oldest - 1 <= after <= last:
                return None
            rows = db.execute(SQL["changes"], (*place, after, limit)).fetchall()
            return [Frame(seq, StreamChange(*place, *rest)) for seq, *rest in rows]

        return self._in_snapshot(read)

    async def heads(self, streams: Sequence[tuple[str, str]]) -> list[int]:
        """Return the number of the last change of each."""
        rows = [self._one("head", *place) for place in streams]
        return [row[0] if row else 0 for row in rows]

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first."""
        return await self.writer.write(
            lambda db: deliveries.claim(db, step, limit, now_ms, lease_until_ms)
        )

    async def next_due_ms(self, steps: Sequence[str]) -> int | None:
        """Return when the next delivery of these steps is due."""
        times = [self._rows("next_due", step)[0][0] for step in steps]
        return min((time for time in times if time is not None), default=None)

    async def pending(self, step: str) -> int:
        """Return how many deliveries a step has."""
        return int(self._rows("pending", step)[0][0])

    async def renew(self, claims: Sequence[Claim], *, lease_until_ms: int) -> None:
        """Prolong leases."""
        await self.writer.write(lambda db: deliveries.renew(db, claims, lease_until_ms))

    async def release_all(self, *, now_ms: int) -> int:
        """Make every leased delivery due now."""
        return await self.writer.write(
            lambda db: db.execute(SQL["release_all"], (now_ms,)).rowcount
        )

    async def watch(self, wake: Callable[[str | None], None]) -> None:
        """Wait: nobody tells us of other processes on the file; lanes look now and then."""
        del wake
        await anyio.sleep_forever()

    async def record(self, claim: Claim, name: str, result: bytes) -> bytes:
        """Journal a result; the first one stays."""
        return await self.writer.write(lambda db: deliveries.record(db, claim, name, result))

    async def waiters(self, topic: str) -> list[Waiter]:
        """Return who waits for an event of the topic."""
        return [Waiter(*row) for row in self._rows("waiters", topic)]

    async def answer(self, waiter: Waiter, result: bytes, *, now_ms: int) -> None:
        """End a wait with its answer."""
        await self.writer.write(lambda db: deliveries.answer(db, waiter, result, now_ms))

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back."""
        await self.writer.write(lambda db: deliveries.retry(db, claim, due_at_ms))

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters."""
        await self.writer.write(lambda db: deliveries.bury(db, delivery, error, stack, now_ms))

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        return [DeadLetter(*row) for row in self._rows("dead", after_id, limit)]

    async def dead_letter(self, dead_id: int) -> DeadLetter | None:
        """Return one dead letter."""
        row = self._one("dead_letter", dead_id)
        return DeadLetter(*row) if row else None

    async def newest_dead(
        self, *, limit: int, longest: int, before_id: int | None = None, step: str | None = None
    ) -> list[DeadSummary]:
        """Return dead letters, newest first, as a list shows them."""
        before = MAX_DEAD_ID if before_id is None else before_id
        rows = self._rows("newest_dead", longest, before, step, limit)
        return [DeadSummary(*row) for row in rows]

    async def dead_counts(self) -> list[tuple[str, int]]:
        """Return how many dead letters each step has."""
        return self._rows("dead_counts")

    async def redrive(self, dead_ids: Sequence[int] | None, now_ms: int) -> int:
        """Make dead letters due again."""
        return await self.writer.write(
            lambda db: deliveries.redrive(db, dead_ids, now_ms), heavy=dead_ids is None
        )

    async def purge_dead(self, dead_ids: Sequence[int] | None) -> int:
        """Delete dead letters."""
        return await self.writer.write(
            lambda db: deliveries.purge_dead(db, dead_ids), heavy=dead_ids is None
        )

    def _one(self, name: str, *arguments: object) -> Any:
        return self._reading(lambda db: db.execute(SQL[name], arguments).fetchone())

    def _rows(self, name: str, *arguments: object) -> list[Any]:
        return self._reading(lambda db: db.execute(SQL[name], arguments).fetchall())

    def _in_snapshot(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run several statements on one snapshot of the database."""

        def whole(db: sqlite3.Connection) -> T:
            db.execute("BEGIN")
            try:
                return read(db)
            finally:
                db.execute("COMMIT")

        return self._reading(whole)

    def _reading(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return read(self._reader)
        except UnicodeEncodeError as exc:
            raise NonRetriable(f"cannot be stored: {exc}") from exc
        except sqlite3.Error as exc:
            raise StoreAway(f"state store: {exc}") from exc


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _stored(row: Sequence[Any], now_ms: int) -> Stored:
    data, version, expires_at = row
    lapsed = expires_at is not None and expires_at <= now_ms
    return Stored(None if lapsed else data, version)


def _keep_lapsed(db: sqlite3.Connection, now_ms: int) -> None:
    db.execute(SQL["keep_lapsed"], (now_ms,))
    db.execute(SQL["drop_lapsed"], (now_ms,))
