"""POST /api/v1/auth/logout-everywhere: end every session and every login of the caller."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import goodbye
from tidegate.auth.guards import account_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "LogOutEverywhere",
    "description": "Ends every session and every login of the caller; API keys stay",
    "method": "POST",
    "path": "/api/v1/auth/logout-everywhere",
    "middleware": ["authMiddleware", account_only],
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """End them all, that of the caller too."""
    await access.users.end_all(request.user.userId)
    ctx.logger.info("logout.everywhere", user=request.user.userId)
    return goodbye(request, access.public_url)
