"""POST /api/v1/auth/users: a new user."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.accounts import Account, shown
from tidegate.auth.answers import private
from tidegate.auth.bodies import AddUser
from tidegate.auth.guards import people_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "AddUser",
    "description": "Adds a user; without a password it can only own API keys",
    "method": "POST",
    "path": "/api/v1/auth/users",
    "middleware": ["adminMiddleware", people_only],
    "bodySchema": AddUser,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Add it; a name that is taken is 409."""
    body: AddUser = request.body
    wanted = Account(
        username=body.username,
        roles=body.roles,
        tenants=body.tenants,
        tenant=body.tenant,
        scopes=body.scopes,
    )
    added = await access.users.add(wanted, body.password)
    ctx.logger.info("user.added", user=added.username, by=request.user.userId)
    return private(shown(added), status=201)
