"""Who may follow which stream: the administrator each, a user what bears his name or tenant's.

A stream or a group is `tenant:{id}`, `user:{userId}` or `player:{userId}` of somebody, or it is
nobody's: then the role `streams` opens it. See ADR 0013.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.auth.authenticator import Authenticator
from tidegate.auth.caller import DEVICE, is_administrator, may
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from tidegate.http.streams import Allow

SCOPE = "streams:read"
"""What an API key needs that is for certain scopes; it opens no more than its owner may follow."""
ROLE = "streams"
"""Opens every stream."""
_OWNERS = ("tenant:", "user:", "player:")


def stream_guard(authenticator: Authenticator) -> Allow:
    """Return what `stream_routes` asks for each client.

    A device's token only writes as itself, so it follows nothing. Browsers send cookies with
    WebSockets of any page, so there the authenticator takes a cookie only from our own pages.
    """

    async def allow(
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        _query: Mapping[str, str],
        name: str,
        group: str,
    ) -> int:
        request = Request(method="GET", headers=dict(headers), cookies=dict(cookies))
        try:
            user = await authenticator.caller(request)
        except HTTPError as exc:
            return exc.status
        if user is None:
            return 401
        return 200 if may(user, SCOPE) and may_follow(user, name, group) else 403

    return allow


def may_follow(user: Mapping[str, Any], name: str, group: str) -> bool:
    """Tell whether a group of a stream is open to a caller. Pure.

    The stream's name says whose it is; when it says nothing, the group's does. Both have to be
    spelled in full: a tenant `acme:eu` may exist beside `acme`.
    """
    is_bound = user["kind"] == "key" and user["tenant"] is not None
    if is_administrator(user) or (ROLE in user["roles"] and not is_bound):
        return True
    if DEVICE in user["roles"]:
        return False
    own = {f"user:{user['userId']}", f"player:{user['userId']}"}
    own.update(f"tenant:{tenant}" for tenant in user["tenants"])
    return (name if name.startswith(_OWNERS) else group) in own
