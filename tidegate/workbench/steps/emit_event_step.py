"""POST /api/v1/emit: emit an event by hand."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "EmitEvent",
    "description": "Emit an event.",
    "method": "POST",
    "path": "/api/v1/emit",
    "middleware": ["adminMiddleware"],
    "bodySchema": {
        "type": "object",
        "required": ["topic"],
        "properties": {"topic": {"type": "string", "minLength": 1}, "data": True},
        "additionalProperties": False,
    },
}


async def handler(request: Request, ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Emit; the answer leaves once the event is durable, and says which steps it goes to."""
    topic = request.body["topic"]
    await ctx.emit(topic, request.body.get("data"))
    return {"status": 202, "body": {"topic": topic, "steps": engine.router.hearers(topic)}}
