"""POST /api/v1/auth/password: a new password, by who knows the old one."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import goodbye
from tidegate.auth.bodies import ChangePassword
from tidegate.auth.guards import account_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ChangePassword",
    "description": "Changes the caller's password; every session and login of the caller ends",
    "method": "POST",
    "path": "/api/v1/auth/password",
    "middleware": ["authMiddleware", account_only],
    "bodySchema": ChangePassword,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Change it; a wrong old one is 403, a new one that is not taken 422."""
    body: ChangePassword = request.body
    name = request.user.userId
    await access.users.change_password(
        name, body.old_password, body.new_password, client=request.client
    )
    ctx.logger.info("password.changed", user=name)
    return goodbye(request, access.public_url)
