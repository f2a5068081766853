"""POST /api/v1/auth/login: user name and password become tokens."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.auth.access import Access
from tidegate.auth.answers import check_origin, tokens_answer
from tidegate.auth.bodies import Login
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "LogInForTokens",
    "description": "Gives an access token and a refresh token for a user name and a password",
    "method": "POST",
    "path": "/api/v1/auth/login",
    "bodySchema": Login,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Answer the tokens; whatever is wrong, it is the same 401 after the same time."""
    check_origin(request, access.public_url)
    body: Login = request.body
    tokens = await access.tokens.log_in(body.username, body.password, client=request.client)
    if tokens is None:
        ctx.logger.warning("login.failed", client=request.client)
        raise HTTPError(401, "user name or password is wrong")
    ctx.logger.info("login.succeeded", user=tokens.account.username, client=request.client)
    return tokens_answer(tokens, request, access.public_url)
