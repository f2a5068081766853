"""GET /api/v1/state/:group: the keys of a group."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.own_groups import is_own

config = {
    "type": "api",
    "name": "ListStateKeys",
    "description": "List the keys of a group of the state.",
    "method": "GET",
    "path": "/api/v1/state/:group",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "cursor": {"type": "string"},
        },
    },
}
_DEFAULT_LIMIT = 100


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return one page; no such group, or one of the runtime's own, is 404."""
    group = request.path_params["group"]
    limit = request.query_params.get("limit", _DEFAULT_LIMIT)
    after = request.query_params.get("cursor", "")
    keys: list[str] = []
    if not is_own(group):
        now_ms = engine.now_ms()
        keys = await engine.store.keys(group, limit=limit, now_ms=now_ms, after=after)
    if not keys and not after:
        raise HTTPError(404, "no such group")
    cursor = keys[-1] if len(keys) == limit else None
    return {"status": 200, "body": {"keys": keys, "next_cursor": cursor}}
