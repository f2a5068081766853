"""POST /api/v1/auth/users/:username/password: a new password, by an administrator."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.auth.access import Access
from tidegate.auth.answers import private
from tidegate.auth.bodies import SetPassword
from tidegate.auth.guards import people_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "SetUserPassword",
    "description": "Gives a user a new password; every session and login of the user ends",
    "method": "POST",
    "path": "/api/v1/auth/users/:username/password",
    "middleware": ["adminMiddleware", people_only],
    "bodySchema": SetPassword,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Set it; no such user is 404."""
    name = request.path_params["username"]
    if not await access.users.exists(name):
        raise HTTPError(404, "no such user")
    await access.users.set_password(name, request.body.password)
    ctx.logger.info("password.set", user=name, by=request.user.userId)
    return private({"username": name})
