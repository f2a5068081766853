"""Reads of values, and checks of commits that only read: gathered, then asked in one query."""

from typing import TypeAlias

from tidegate.errors import NonRetriable, StoreAway, TidegateError
from tidegate.store.model import ABSENT, Commit, Key
from tidegate.store.postgres.columns import ListColumns, columns, stale
from tidegate.store.postgres.connections import Line
from tidegate.store.postgres.gathering import Gathering, Operation

_MAX_READS = 256

Row: TypeAlias = tuple[bytes | None, int, int | None]
_Asked: TypeAlias = Operation[Key | Commit, Row | None]
_ABSENT: Row = (None, ABSENT, None)


class Reader:
    """Takes reads and checks in, and asks them together."""

    def __init__(self) -> None:
        self.gathering: Gathering[Key | Commit, Row | None] = Gathering()

    async def run(self, line: Line) -> None:
        """Read on a connection until closed and done."""
        gathering = self.gathering
        try:
            while gathering.waiting or not gathering.closing:
                operations = self._take()
                if operations:
                    await self._answer(line, operations)
                elif not gathering.closing:
                    await gathering.wait_for_work()
        finally:
            line.drop()

    def _take(self) -> list[_Asked]:
        self.gathering.drop_old()
        waiting = self.gathering.waiting
        taken = [waiting.popleft() for _ in range(min(len(waiting), _MAX_READS))]
        return [operation for operation in taken if not operation.is_over]

    async def _answer(self, line: Line, operations: list[_Asked]) -> None:
        try:
            await _read(line, [each for each in operations if isinstance(each.asked, Key)])
            await _check(line, [each for each in operations if not isinstance(each.asked, Key)])
        except NonRetriable as exc:
            await self._answer_each(line, operations, exc)
        except StoreAway as exc:
            _fail(operations, exc)
            self.gathering.fail_all(exc)
        finally:
            _fail(operations, StoreAway("state store: the read was broken off"))

    async def _answer_each(self, line: Line, operations: list[_Asked], exc: NonRetriable) -> None:
        """Find who asks for the impossible: the others are not to suffer for it."""
        if len(operations) == 1:
            operations[0].fail(exc)
            return
        for operation in operations:
            if not operation.is_over:
                await self._answer(line, [operation])


async def _read(line: Line, operations: list[_Asked]) -> None:
    if not operations:
        return
    groups = [each.asked[0] for each in operations]  # type: ignore[index]  # these are keys
    keys = [each.asked[1] for each in operations]  # type: ignore[index]  # these are keys
    found: dict[int, Row] = {}
    for place, *row in await line.fetch("read", groups, keys):
        found[place] = (row[0], row[1], row[2])
    for place, operation in enumerate(operations, start=1):
        operation.end(found.get(place, _ABSENT))


async def _check(line: Line, operations: list[_Asked]) -> None:
    if not operations:
        return
    rows: list[tuple[int, str, str, int]] = []
    lists = ListColumns()
    for number, operation in enumerate(operations, start=1):
        commit = operation.asked
        rows.extend((number, *key, version) for key, version in commit.reads.items())  # type: ignore[union-attr]
        lists.add(number, commit.group_reads)  # type: ignore[union-attr]
    arguments = [len(operations), *columns(rows, 4), *lists.arguments()]
    [[faults]] = await line.fetch("check_reads", *arguments)
    for operation, fault in zip(operations, faults, strict=True):
        if fault is None:
            operation.end(None)
        else:
            what, _, number = fault.partition(" ")
            place = int(number) - 1
            operation.fail(stale(rows[place]) if what == "key" else lists.error(place))


def _fail(operations: list[_Asked], error: TidegateError) -> None:
    for operation in operations:
        operation.fail(error)
