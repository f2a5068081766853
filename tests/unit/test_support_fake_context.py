"""The fake `ctx` keeps what it is given, also through streams and blocking calls."""

import pytest
from anyio import to_thread

from tests.support.fake_context import FakeContext

pytestmark = pytest.mark.anyio


async def test_fake_streams_are_values_and_changes() -> None:
    """What is set on a stream is read back, and is told in order."""
    ctx = FakeContext()

    await ctx.streams["game"].set("board", "k", {"x": 1})
    await ctx.streams["game"].send("board", "over")

    assert await ctx.streams["game"].get_group("board") == [{"x": 1}]
    assert [(one.kind, one.id) for one in ctx.streamed] == [("set", "k"), ("event", None)]


async def test_fake_sync_calls_block_a_thread() -> None:
    """A plain handler in a worker's thread sets and emits without `await`."""
    ctx = FakeContext()

    def handler() -> None:
        ctx.sync.state.set("g", "k", 7)
        ctx.sync.emit("done", ctx.sync.state.get("g", "k"))

    await to_thread.run_sync(handler)

    assert ctx.take_emitted("done") == [7]
