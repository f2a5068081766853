"""GET /api/v1/auth/users: who there is."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.accounts import shown
from tidegate.auth.answers import private
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListUsers",
    "description": "Lists users in order of their names, with roles and tenants",
    "method": "GET",
    "path": "/api/v1/auth/users",
    "middleware": ["adminMiddleware"],
    "queryParams": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "cursor": {"type": "string"},
        },
    },
    "emits": [],
}
_DEFAULT_LIMIT = 100


async def handler(request: Request, _ctx: Context, *, access: Access) -> dict[str, Any]:
    """Return one page; `next_cursor` is None on the last."""
    limit = request.query_params.get("limit", _DEFAULT_LIMIT)
    found = await access.users.page(limit=limit, after=request.query_params.get("cursor", ""))
    cursor = found[-1].username if len(found) == limit else None
    return private({"users": [shown(account) for account in found], "next_cursor": cursor})
