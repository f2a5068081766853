"""PUT /api/v1/state/:group/:key: set one value of the state."""

from typing import Any

from tidegate import Context, HTTPError, NonRetriable
from tidegate.http.request import Request
from tidegate.workbench.own_groups import is_own

config = {
    "type": "api",
    "name": "SetState",
    "description": "Set one value of the state.",
    "method": "PUT",
    "path": "/api/v1/state/:group/:key",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "bodySchema": {
        "type": "object",
        "required": ["value"],
        "properties": {"value": {"not": {"type": "null"}}},
        "additionalProperties": False,
    },
}


async def handler(request: Request, ctx: Context) -> dict[str, Any]:
    """Set it, for good; null is no value (DELETE takes one away)."""
    group, key = request.path_params["group"], request.path_params["key"]
    if is_own(group):
        raise HTTPError(403, "groups 'tidegate.…' are the runtime's own")
    value = request.body["value"]
    try:
        await ctx.state.set(group, key, value)
    except NonRetriable as exc:
        raise HTTPError(422, str(exc)) from exc
    return {"status": 200, "body": {"value": value}}
