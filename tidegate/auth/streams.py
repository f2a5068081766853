"""Who may follow streams: the administrator and whoever is logged in."""

from collections.abc import Mapping

from tidegate.auth.middleware import DEVICE, Authenticator
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from tidegate.http.streams import Allow


def stream_guard(authenticator: Authenticator) -> Allow:
    """Return what `stream_routes` asks for each client.

    A device's token only writes as itself, so it follows nothing. Browsers send cookies with
    WebSockets of any page, so there a cookie counts only from our own pages.
    """

    async def allow(
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        _query: Mapping[str, str],
        _name: str,
        _group: str,
    ) -> int:
        is_socket = headers.get("upgrade", "").lower() == "websocket"
        # A method that is not safe has its origin checked.
        method = "CONNECT" if is_socket else "GET"
        request = Request(method=method, headers=dict(headers), cookies=dict(cookies))
        try:
            user = await authenticator.caller(request)
        except HTTPError as exc:
            return exc.status
        if user is None:
            return 401
        return 403 if set(user["roles"]) == {DEVICE} else 200

    return allow
