"""POST /api/v1/auth/keys: a new API key, told once."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.auth.access import Access
from tidegate.auth.answers import private
from tidegate.auth.bodies import AddKey
from tidegate.auth.caller import is_administrator
from tidegate.auth.guards import people_only
from tidegate.auth.keys import NewKey, shown_key
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "AddApiKey",
    "description": "Makes an API key of the caller, or by an administrator of any user",
    "method": "POST",
    "path": "/api/v1/auth/keys",
    "middleware": ["authMiddleware", people_only],
    "bodySchema": AddKey,
    "emits": [],
}


async def handler(request: Request, ctx: Context, *, access: Access) -> dict[str, Any]:
    """Answer the key with its text, which cannot be asked for again."""
    body: AddKey = request.body
    owner = body.owner or request.user.userId
    if owner != request.user.userId and not is_administrator(request.user):
        raise HTTPError(403, "only an administrator makes keys of others")
    wanted = NewKey(
        name=body.name,
        owner=owner,
        scopes=body.scopes,
        tenant=body.tenant,
        expires_at=body.expires_at,
    )
    key, text = await access.keys.add(wanted)
    ctx.logger.info("key.added", key=key.prefix, owner=owner, by=request.user.userId)
    return private({**shown_key(key), "key": text}, status=201)
