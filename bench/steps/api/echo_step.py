"""An api step without state: it checks the body and answers it."""

from typing import Any

from tidegate.contract import Context

config = {
    "type": "api",
    "name": "BenchEcho",
    "method": "POST",
    "path": "/echo",
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


async def handler(input: Any, _ctx: Context) -> dict[str, Any]:
    """Answer the body."""
    return {"status": 200, "body": input.body}
