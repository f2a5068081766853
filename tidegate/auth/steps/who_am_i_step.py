"""GET /api/v1/auth/me: who the caller is."""

from typing import Any

from tidegate import Context
from tidegate.auth.answers import private
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "WhoAmI",
    "description": "Returns the caller: name, roles, tenants, scopes, how it is known",
    "method": "GET",
    "path": "/api/v1/auth/me",
    "middleware": ["authMiddleware"],
    "emits": [],
}


async def handler(request: Request, _ctx: Context) -> dict[str, Any]:
    """Return `req.user` as steps see it."""
    return private(request.user)
