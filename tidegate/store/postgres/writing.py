"""Commits: gathered while the database is busy, then applied in one statement.

A few writers share what waits, each with a connection of its own. A commit that touches what a
batch on its way touches waits for that batch: at the database it would hold its whole batch up.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tidegate.errors import NonRetriable, StoreAway
from tidegate.store.model import WAITS, Commit, Committed
from tidegate.store.postgres.batches import Batch
from tidegate.store.postgres.columns import Columns
from tidegate.store.postgres.connections import Line
from tidegate.store.postgres.faults import TryAgain
from tidegate.store.postgres.gathering import Gathering, Operation

# Of those who wait so many are looked at for a batch.
_LOOK_AT = 256
_TRIES = 5

Commits: TypeAlias = Operation[Commit, Committed]


class Writer:
    """Takes commits in, and applies them in batches."""

    def __init__(self, origin: str, tell: Callable[[str], None]) -> None:
        """Make one that knows its store by `origin` and says to `tell` which steps it woke."""
        self.gathering: Gathering[Commit, Committed] = Gathering()
        self._origin = origin
        self._tell = tell
        self._under_way: list[Batch] = []
        self.ended = 0

    async def run(self, line: Line) -> None:
        """Apply batches on a connection until closed and done."""
        gathering = self.gathering
        try:
            while gathering.waiting or not gathering.closing:
                batch, operations = self._take()
                if operations:
                    await self._apply(line, batch, operations)
                    gathering.look_again()
                elif gathering.waiting or not gathering.closing:
                    await gathering.wait_for_work()
        finally:
            line.drop()

    def _take(self) -> tuple[Batch, list[Commits]]:
        gathering = self.gathering
        gathering.drop_old()
        batch = Batch()
        taken: list[Commits] = []
        left: list[Commits] = []
        waiting = gathering.waiting
        for _ in range(min(len(waiting), _LOOK_AT)):
            operation = waiting.popleft()
            if operation.is_over:
                continue
            commit = operation.asked
            if any(each.excludes(commit) for each in (batch, *self._under_way)):
                left.append(operation)
            elif batch.has_room(commit):
                batch.add(commit)
                taken.append(operation)
            else:
                left.append(operation)
                break
        gathering.take_back(left)
        return batch, taken

    async def _apply(self, line: Line, batch: Batch, operations: list[Commits]) -> None:
        self._under_way.append(batch)
        try:
            await self._send(line, batch, operations)
        except NonRetriable as exc:
            await self._apply_each(line, operations, exc)
        except StoreAway as exc:
            for operation in operations:
                operation.fail(exc)
            if not isinstance(exc, TryAgain):
                self.gathering.fail_all(exc)
        finally:
            self._under_way.remove(batch)
            for operation in operations:
                self.ended += len(operation.asked.done)
                operation.fail(StoreAway("state store: the commit was broken off"))

    async def _apply_each(self, line: Line, operations: list[Commits], exc: NonRetriable) -> None:
        """Find which commit cannot be stored: the others are not to suffer for it."""
        if len(operations) == 1:
            operations[0].fail(exc)
            return
        for operation in operations:
            alone = Batch()
            alone.add(operation.asked)
            await self._apply(line, alone, [operation])

    async def _send(self, line: Line, batch: Batch, operations: list[Commits]) -> None:
        for tried in range(1, _TRIES + 1):
            try:
                columns = Columns(batch)
                [row] = await line.fetch("commit", *columns.arguments(self._origin))
                break
            except TryAgain:
                if tried == _TRIES:
                    raise
        _answer(operations, columns, row)
        for step in row["woken"] or ():
            self._tell(step)


def _answer(operations: list[Commits], columns: Columns, row: Mapping[str, Any]) -> None:
    faults = row["faults"] or [None] * len(operations)
    seqs, leased = row["seqs"] or (), {}
    if row["leased"]:
        leased = columns.leased(faults, row["dropped"] or (), row["leased"])
    awaited = WAITS in (row["woken"] or ())
    start = 0
    counts = columns.change_counts()
    for number, (operation, count) in enumerate(zip(operations, counts, strict=True), start=1):
        fault = faults[number - 1]
        if fault is not None:
            operation.fail(columns.error(fault))
        elif count or number in leased:
            numbers = seqs[start : start + count]
            operation.end(Committed(leased.get(number, ()), numbers, awaited))
        else:
            operation.end(_AWAITED if awaited else _NOTHING)
        start += count


_NOTHING = Committed(awaited=False)
_AWAITED = Committed(awaited=True)
