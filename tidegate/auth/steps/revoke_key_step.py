"""DELETE /api/v1/auth/keys/:prefix: revoke an API key."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import private
from tidegate.auth.caller import is_administrator
from tidegate.auth.guards import people_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "RevokeApiKey",
    "description": "Revokes an API key of the caller, or by an administrator of any user",
    "method": "DELETE",
    "path": "/api/v1/auth/keys/:prefix",
    "middleware": ["authMiddleware", people_only],
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Revoke it, at once and for good; another's is 404 like one that is not there."""
    prefix = request.path_params["prefix"]
    owner = None if is_administrator(request.user) else request.user.userId
    revoked_at = await access.keys.revoke(prefix, owner=owner)
    ctx.logger.info("key.revoked", key=prefix, by=request.user.userId)
    return private({"prefix": prefix, "revoked_at": revoked_at})
