"""GET /api/v1/state/:group/:key: read one value of the state."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.http.request import Request
from tidegate.workbench.own_groups import is_own

config = {
    "type": "api",
    "name": "GetState",
    "description": "Read one value of the state.",
    "method": "GET",
    "path": "/api/v1/state/:group/:key",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(request: Request, ctx: Context) -> dict[str, Any]:
    """Return the value; nothing there, or a group of the runtime's own, is 404."""
    group, key = request.path_params["group"], request.path_params["key"]
    value = None if is_own(group) else await ctx.state.get(group, key)
    if value is None:
        raise HTTPError(404, "no such value")
    return {"status": 200, "body": {"value": value}}
