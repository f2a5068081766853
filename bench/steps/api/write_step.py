"""An api step that reads and writes state: what bare Starlette's echo is compared with."""

from typing import Any

from tidegate.contract import Context

config = {
    "type": "api",
    "name": "BenchWrite",
    "method": "POST",
    "path": "/write",
    "emits": [],
    "bodySchema": {
        "type": "object",
        "properties": {
            "key": {"type": "string"},
            "amount": {"type": "integer"},
            "unit": {"type": "string"},
            "note": {"type": "string"},
        },
        "required": ["key", "amount", "unit", "note"],
    },
}


async def handler(input: Any, ctx: Context) -> dict[str, Any]:
    """Add to the key's account and answer what it is now."""
    body = input.body
    account = await ctx.state.get("bench.accounts", body["key"]) or {"total": 0, "calls": 0}
    account = {"total": account["total"] + body["amount"], "calls": account["calls"] + 1}
    await ctx.state.set("bench.accounts", body["key"], account)
    return {"status": 200, "body": account}
