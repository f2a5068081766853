"""The head of a chain: read, write, emit."""

from typing import Any

from bench.steps.contract import IN_FLIGHT, counted_up
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "BenchFirst",
    "subscribes": ["bench.chain.began"],
    "emits": ["bench.chain.went_on"],
    "concurrency": IN_FLIGHT,
}


async def handler(input: Any, ctx: Context) -> None:
    """Count the key up and pass the event on."""
    key = input["key"]
    state = await ctx.state.get("bench.first", key)
    await ctx.state.set("bench.first", key, counted_up(state, key))
    await ctx.emit("bench.chain.went_on", input)
