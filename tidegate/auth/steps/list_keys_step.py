"""GET /api/v1/auth/keys: the caller's API keys; an administrator sees all."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import private
from tidegate.auth.caller import is_administrator
from tidegate.auth.guards import people_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListApiKeys",
    "description": "Lists the caller's API keys; an administrator sees all, or those of ?owner=",
    "method": "GET",
    "path": "/api/v1/auth/keys",
    "middleware": ["authMiddleware", people_only],
    "queryParams": {"type": "object", "properties": {"owner": {"type": "string"}}},
    "emits": [],
}


async def handler(request: Request, _ctx: Context, *, access: Access) -> dict[str, Any]:
    """Return the keys, oldest first; a secret is in no list."""
    asked = request.query_params.get("owner")
    owner = asked if is_administrator(request.user) else request.user.userId
    return private({"keys": await access.keys.shown(owner)})
