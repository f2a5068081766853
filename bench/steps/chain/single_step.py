"""One step for the latency: read, write, emit, so that its commit is seen from outside."""

from typing import Any

from bench.steps.contract import counted_up
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "BenchSingle",
    "subscribes": ["bench.single.began"],
    "emits": ["bench.single.done"],
}


async def handler(input: Any, ctx: Context) -> None:
    """Count the key up and say so."""
    key = input["key"]
    state = await ctx.state.get("bench.single", key)
    await ctx.state.set("bench.single", key, counted_up(state, key))
    await ctx.emit("bench.single.done", input)
