"""Ends a session."""

from typing import Any

from cloud.dashboard.needs import PageRequest, Users
from cloud.dashboard.origin import expired_cookie
from cloud.dashboard.pages import redirect
from cloud.settings import Settings
from tidegate.auth.origin import came_by_https, same_origin
from tidegate.auth.session import COOKIE
from tidegate.contract import Context
from tidegate.errors import HTTPError

config = {"type": "api", "name": "LogOut", "method": "POST", "path": "/logout", "emits": []}


async def handler(
    req: PageRequest, _ctx: Context, *, users: Users, settings: Settings
) -> dict[str, Any]:
    """End the session on the server, then in the browser."""
    public_url = settings.http.public_url
    if not same_origin(req.headers, public_url):
        raise HTTPError(403, "the form was not sent from this site")
    token = req.cookies.get(COOKIE)
    if token:
        await users.logout(token)
    return redirect("/login", expired_cookie(secure=came_by_https(req.headers, public_url)))
