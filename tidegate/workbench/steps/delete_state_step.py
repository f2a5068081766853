"""DELETE /api/v1/state/:group/:key: take one value away."""

from tidegate import Context, HTTPError
from tidegate.http.request import Request
from tidegate.workbench.own_groups import is_own

config = {
    "type": "api",
    "name": "DeleteState",
    "description": "Delete one value of the state.",
    "method": "DELETE",
    "path": "/api/v1/state/:group/:key",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(request: Request, ctx: Context) -> None:
    """Delete it; nothing there, or a group of the runtime's own, is 404."""
    group, key = request.path_params["group"], request.path_params["key"]
    if is_own(group) or await ctx.state.get(group, key) is None:
        raise HTTPError(404, "no such value")
    await ctx.state.delete(group, key)
