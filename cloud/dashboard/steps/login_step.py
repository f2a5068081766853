"""Takes the login form and begins a session."""

from typing import Any

from cloud.dashboard.needs import PageRequest, Users
from cloud.dashboard.origin import safe_next, session_cookie
from cloud.dashboard.pages import frame_of, page, redirect
from cloud.settings import Settings
from tidegate.auth.origin import came_by_https, same_origin
from tidegate.contract import Context
from tidegate.errors import HTTPError

config = {"type": "api", "name": "LogIn", "method": "POST", "path": "/login", "emits": []}
_MAX_CHARS, _MAX_PASSWORD_CHARS = 256, 1024
_TOO_MANY = 429
_WRONG = "User name or password is wrong."


async def handler(
    req: PageRequest, ctx: Context, *, users: Users, settings: Settings
) -> dict[str, Any]:
    """Begin a session and go to the page that was asked for, or say what is wrong."""
    public_url = settings.http.public_url
    if not same_origin(req.headers, public_url):
        raise HTTPError(403, "the form was not sent from this site")
    fields = req.body if isinstance(req.body, dict) else {}
    username = str(fields.get("username", ""))[:_MAX_CHARS]
    target = safe_next(fields.get("next"))
    status, error, token = await _attempt(
        users, username, str(fields.get("password", "")), client=req.client
    )
    if token is None:
        ctx.logger.warning("login.failed", status=status)
        frame = frame_of(settings, ctx.now())
        shown = {"here": "", "next": target, "username": username, "error": error}
        return page("login.html", frame, status=status, **shown)
    return redirect(target, session_cookie(token, secure=came_by_https(req.headers, public_url)))


async def _attempt(
    users: Users, username: str, password: str, *, client: str
) -> tuple[int, str, str | None]:
    """Return status, what to tell the person, and the session's token."""
    if not username or not 0 < len(password) <= _MAX_PASSWORD_CHARS:
        return 401, _WRONG, None
    try:
        token = await users.login(username, password, client=client)
    except HTTPError as exc:
        if exc.status != _TOO_MANY:
            raise
        return exc.status, "Too many failed attempts. Wait a few minutes, then try again.", None
    return (303, "", token) if token else (401, _WRONG, None)
