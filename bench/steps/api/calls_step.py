"""How many writes there were, to compare with how many were answered."""

from typing import Any

from tidegate.contract import Context

config = {"type": "api", "name": "BenchCalls", "method": "GET", "path": "/calls", "emits": []}


async def handler(_input: Any, ctx: Context) -> dict[str, Any]:
    """Add up the calls of all accounts."""
    accounts = await ctx.state.get_group("bench.accounts")
    return {"status": 200, "body": {"calls": sum(account["calls"] for account in accounts)}}
