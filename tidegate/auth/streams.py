"""Who may follow streams: the administrator and whoever is logged in."""

from collections.abc import Mapping

from tidegate.auth.authenticator import Authenticator
from tidegate.auth.caller import DEVICE, may
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from tidegate.http.streams import Allow

SCOPE = "streams:read"
"""What an API key needs that is for certain scopes."""


def stream_guard(authenticator: Authenticator) -> Allow:
    """Return what `stream_routes` asks for each client.

    A device's token only writes as itself, so it follows nothing. Browsers send cookies with
    WebSockets of any page, so there the authenticator takes a cookie only from our own pages.
    """

    async def allow(
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        _query: Mapping[str, str],
        _name: str,
        _group: str,
    ) -> int:
        request = Request(method="GET", headers=dict(headers), cookies=dict(cookies))
        try:
            user = await authenticator.caller(request)
        except HTTPError as exc:
            return exc.status
        if user is None:
            return 401
        return 403 if set(user["roles"]) == {DEVICE} or not may(user, SCOPE) else 200

    return allow
