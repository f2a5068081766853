"""POST /api/v1/auth/signing-key: sign access tokens with a new secret from now on."""

from typing import Any

from anyio import to_thread

from tidegate import Context
from tidegate.auth.access import Access
from tidegate.auth.answers import private
from tidegate.auth.guards import people_only
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "RotateSigningKey",
    "description": "Signs with a new secret; the old one verifies until its tokens are over",
    "method": "POST",
    "path": "/api/v1/auth/signing-key",
    "middleware": ["adminMiddleware", people_only],
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Rotate; nobody has to log in again."""
    now_s = int(ctx.now().timestamp())
    kid = await to_thread.run_sync(access.tokens.signing.rotate, now_s)
    ctx.logger.info("signing_key.rotated", kid=kid, by=request.user.userId)
    return private({"kid": kid})
