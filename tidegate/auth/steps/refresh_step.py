"""POST /api/v1/auth/refresh: a refresh token becomes new tokens, and is void."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.auth.access import Access
from tidegate.auth.answers import refresh_token_of, tokens_answer
from tidegate.auth.bodies import Refresh
from tidegate.auth.refusals import Refused, count_refusal
from tidegate.engine.schemas import Checker
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "RefreshTokens",
    "description": "Gives new tokens for a refresh token, in the body or as cookie",
    "method": "POST",
    "path": "/api/v1/auth/refresh",
    "emits": [],
}
# Not a bodySchema: a browser sends its cookie, and no body.
_body = Checker(Refresh)


async def handler(request: Request, _ctx: Context, *, access: Access) -> dict[str, Any]:
    """Answer new tokens; a token that does not hold is 401."""
    body: Refresh = _body.check({} if request.body is None else request.body)
    token = refresh_token_of(request, body.refresh_token, access.public_url)
    if token is None:
        raise HTTPError(401, "needs a refresh token, in the body or as cookie")
    try:
        tokens = await access.tokens.refresh(token)
    except Refused as refused:
        count_refusal(refused.reason)
        raise
    return tokens_answer(tokens, request, access.public_url)
