"""The one writer of the file: what waits is run as a group in one transaction, one fsync for all.

The statements of a group run on the event loop (microseconds each; handing them to a thread
costs more than they do); only the COMMIT, which waits for the disk, runs in a thread, and
meanwhile the next group gathers. Operations are expected to raise before they change anything.
One that fails half-way costs its group a second run, in which each has a savepoint of its own.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread

from tidegate.errors import NonRetriable, StoreAway, TidegateError

BUSY_TIMEOUT_S = 15.0
_MAX_GROUP = 256
_MAX_WAITING = 20_000
# A group gathers for no longer than this: others need the event loop, too.
_LONGEST_GROUP_S = 0.004

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class _Operation(Generic[T]):
    """One caller's work in the writer's transaction, and the future that ends its wait.

    A future of asyncio: an event of anyio costs four times as much, at each commit of each step.
    """

    __slots__ = ("done", "error", "heavy", "result", "work")

    def __init__(self, work: Work[T], done: asyncio.Future[None], *, heavy: bool) -> None:
        self.work = work
        self.heavy = heavy
        self.done = done
        self.result: T | None = None
        self.error: Exception | None = None

    def end_wait(self) -> None:
        """Let the caller go on, unless he was cancelled."""
        if not self.done.done():
            self.done.set_result(None)


class Writer:
    """Runs operations in groups; `run` must be running."""

    def __init__(self, db: sqlite3.Connection, *, begin_group: Callable[[int], None]) -> None:
        """Take the connection; `begin_group(n)` is called inside each group of n operations."""
        self._db = db
        self._begin_group = begin_group
        self._waiting: list[_Operation[Any]] = []
        self._work_came = anyio.Event()
        self._is_busy = False
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._closed = anyio.Event()
        self._thread = anyio.CapacityLimiter(1)

    async def write(self, work: Work[T], *, heavy: bool = False) -> T:
        """Run work in the next group; durable on return.

        Args:
            work: what to do with the connection; it raises before it changes anything.
            heavy: it takes milliseconds: its group runs in the thread as a whole.
        """
        if self._closing or len(self._waiting) >= _MAX_WAITING:
            raise StoreAway(f"state store is {'closing' if self._closing else 'overloaded'}")
        operation = _Operation(work, self._loop.create_future(), heavy=heavy)
        self._waiting.append(operation)
        if not self._is_busy:
            self._work_came.set()
        await operation.done
        if operation.error is not None:
            raise operation.error
        return operation.result  # type: ignore[return-value]  # set when there is no error

    async def run(self) -> None:
        """Write until closed, then what is waiting; not to be cancelled."""
        with anyio.CancelScope(shield=True):
            try:
                while self._waiting or not self._closing:
                    await self._write_next()
            finally:
                self._closed.set()

    async def aclose(self) -> None:
        """Take no more, and return when all that waits is written."""
        self._closing = True
        self._work_came.set()
        with anyio.CancelScope(shield=True):
            await self._closed.wait()

    async def _write_next(self) -> None:
        if not self._waiting:
            self._work_came = anyio.Event()
            self._is_busy = False
            await self._work_came.wait()
        self._is_busy = True
        group = self._waiting[:_MAX_GROUP]
        try:
            await self._begin()
        except sqlite3.Error as exc:
            # Another process writes for too long, or the file is gone: nobody waits on.
            for operation in group:
                operation.error = StoreAway(f"state store: {exc}")
            self._end(group)
            return
        try:
            ran = await self._run_group(group)
        except Exception:  # noqa: BLE001 - whoever it is, the second run tells him
            ran = group
            await to_thread.run_sync(self._run_apart, group, limiter=self._thread)
        self._end(ran)

    def _end(self, operations: Sequence[_Operation[Any]]) -> None:
        del self._waiting[: len(operations)]
        for operation in operations:
            operation.end_wait()

    async def _run_group(self, group: list[_Operation[Any]]) -> list[_Operation[Any]]:
        """Run operations in one transaction and return which; raise when one broke off half-way."""
        if any(operation.heavy for operation in group):
            await to_thread.run_sync(self._run_whole, group, limiter=self._thread)
            return group
        ran = self._run_some(group)
        await to_thread.run_sync(self._db.execute, "COMMIT", limiter=self._thread)
        return ran

    async def _begin(self) -> None:
        """Begin to write; only when another process writes just now does it take a thread."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            await to_thread.run_sync(self._begin_patiently, limiter=self._thread)

    def _begin_patiently(self) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        finally:
            self._db.execute("PRAGMA busy_timeout = 0")

    def _run_whole(self, group: Sequence[_Operation[Any]]) -> None:
        self._begin_group(len(group))
        for operation in group:
            _run(operation, self._db)
        self._db.execute("COMMIT")

    def _run_some(self, group: list[_Operation[Any]]) -> list[_Operation[Any]]:
        self._begin_group(len(group))
        until = perf_counter() + _LONGEST_GROUP_S
        for count, operation in enumerate(group, start=1):
            _run(operation, self._db)
            if perf_counter() > until:
                return group[:count]
        return group

    def _run_apart(self, group: Sequence[_Operation[Any]]) -> None:
        """Run a group again with a savepoint for each: whoever fails undoes nothing of others."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._begin_patiently()
            self._begin_group(len(group))
            for operation in group:
                self._run_saved(operation)
            self._db.execute("COMMIT")
        except Exception as exc:  # noqa: BLE001 - every caller must be told
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for operation in group:
                operation.error = StoreAway(f"state store: {exc}")

    def _run_saved(self, operation: _Operation[Any]) -> None:
        self._db.execute("SAVEPOINT operation")
        try:
            _run(operation, self._db)
        except Exception as exc:
            if not self._db.in_transaction:
                # A full disk has rolled the whole transaction back: nobody's work stands.
                raise
            operation.error = _translated(exc)
        if operation.error is not None:
            self._db.execute("ROLLBACK TO operation")
        self._db.execute("RELEASE operation")


def _run(operation: _Operation[Any], db: sqlite3.Connection) -> None:
    """Run one operation; what it refuses is its caller's. One whose caller has gone is not run."""
    if operation.done.done():
        return
    operation.error = None
    try:
        operation.result = operation.work(db)
    except TidegateError as exc:
        operation.error = exc


def _translated(exc: Exception) -> Exception:
    """Return what the caller is told: whether the store is away, or he asks for the impossible."""
    if isinstance(exc, sqlite3.OperationalError):
        return StoreAway(f"state store: {exc}")
    if isinstance(exc, (sqlite3.Error, OverflowError, ValueError)):
        return NonRetriable(f"cannot be stored: {exc}")
    return exc
