"""PATCH /api/v1/auth/users/:username: disable a user, or change roles and tenants."""

from typing import Any

import msgspec
from msgspec import UNSET

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.accounts import Account, shown
from tidegate.auth.answers import private
from tidegate.auth.bodies import ChangeUser
from tidegate.auth.guards import people_only
from tidegate.auth.users import ended
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ChangeUser",
    "description": "Disables or enables a user, changes roles, tenants, scopes; at once in force",
    "method": "PATCH",
    "path": "/api/v1/auth/users/:username",
    "middleware": ["adminMiddleware", people_only],
    "bodySchema": ChangeUser,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Change what the body names; a disabled user's sessions and logins are over for good."""
    named = msgspec.structs.asdict(request.body)
    fields = {name: value for name, value in named.items() if value is not UNSET}

    def change(account: Account) -> Account:
        changed = msgspec.structs.replace(account, **fields)
        return ended(changed) if changed.disabled and not account.disabled else changed

    changed = await access.users.change(request.path_params["username"], change)
    ctx.logger.info(
        "user.changed", user=changed.username, fields=sorted(fields), by=request.user.userId
    )
    return private(shown(changed))
