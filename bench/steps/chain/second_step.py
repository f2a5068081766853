"""The end of a chain: read, write, acknowledge."""

from typing import Any

from bench.steps.contract import IN_FLIGHT, Handled, counted_up
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "BenchSecond",
    "subscribes": ["bench.chain.went_on"],
    "emits": [],
    "concurrency": IN_FLIGHT,
}


async def handler(input: Any, ctx: Context, *, handled: Handled) -> None:
    """Count the key up and tell the load."""
    key = input["key"]
    state = await ctx.state.get("bench.second", key)
    await ctx.state.set("bench.second", key, counted_up(state, key))
    handled(input["index"])
