"""A context whose invocation is over takes no more writes, which would be lost."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tests.support.stream_log import MemoryLog
from tidegate.engine.contention import Contention
from tidegate.engine.context import Invocation, InvocationContext, Surroundings
from tidegate.engine.journal import MemoryJournal
from tidegate.store.model import Key
from tidegate.store.port import States
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio


def _context() -> InvocationContext:
    log = MemoryLog()
    around = Surroundings(cast("States", log), lambda: 1_000, Hub(log), Contention())
    return InvocationContext(Invocation(None, "trace", 1, "key", MemoryJournal()), around)


@pytest.mark.parametrize(
    "write",
    [
        lambda ctx: ctx.state.set("g", "k", 1),
        lambda ctx: ctx.state.delete("g", "k"),
        lambda ctx: ctx.emit("topic", 1),
        lambda ctx: ctx.streams["game"].set("g", "k", 1),
        lambda ctx: ctx.streams["game"].send("g", 1),
    ],
)
async def test_write_after_the_commit_is_an_error(write: Callable[[Any], Awaitable[None]]) -> None:
    """What was written before stays as it was handed to the commit; later it says what to do."""
    ctx = _context()
    await write(ctx)
    transaction = ctx.transaction
    handed_over = (transaction.writes, transaction.emissions, transaction.changes)
    sizes = [len(each) for each in handed_over]

    transaction.close()
    with pytest.raises(RuntimeError, match="this invocation has committed already; "):
        await write(ctx)

    assert [len(each) for each in handed_over] == sizes
    assert sum(sizes) > 0
    assert Key("g", "other") not in transaction.writes
