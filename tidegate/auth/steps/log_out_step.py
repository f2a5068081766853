"""POST /api/v1/auth/logout: end what one login began."""

from typing import Any

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import goodbye, refresh_token_of
from tidegate.auth.bearer import bearer_of
from tidegate.auth.bodies import Refresh
from tidegate.engine.schemas import Checker
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "LogOutTokens",
    "description": "Ends the family of a refresh token, and of the access token that calls",
    "method": "POST",
    "path": "/api/v1/auth/logout",
    "emits": [],
}
_body = Checker(Refresh)


async def handler(request: Request, _ctx: Context, *, access: Access) -> dict[str, Any]:
    """End the family; what is over already, or was never there, is 204 too."""
    body: Refresh = _body.check({} if request.body is None else request.body)
    token = refresh_token_of(request, body.refresh_token, access.public_url)
    if token is not None:
        await access.tokens.families.end_of(token)
    bearer = bearer_of(request.headers)
    if bearer:
        await access.tokens.end_of_token(bearer)
    return goodbye(request, access.public_url)
