"""The named middlewares of api steps: who may call.

A caller is known by a bearer token (the administrator's, a device's) or by a session cookie.
A cookie alone is not enough to change something: the request must also come from our own pages.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from tidegate.auth.origin import same_origin
from tidegate.auth.session import COOKIE
from tidegate.auth.users import Users
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.middleware import Middleware, Next, OnHead
from tidegate.http.request import Request

ADMIN = "admin"
DEVICE = "device"
MIDDLEWARE_NAMES = ("authMiddleware", "adminMiddleware", "deviceMiddleware", "pageMiddleware")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

DeviceOfToken = Callable[[str], Mapping[str, str] | None]


class Authenticator:
    """Finds out who is calling.

    `device_of_token` returns `{"tenant", "device"}` of a device's token, or None; `public_url` is
    what browsers call us by behind a proxy.
    """

    def __init__(
        self,
        users: Users,
        *,
        admin_token: str,
        device_of_token: DeviceOfToken,
        public_url: str | None = None,
    ) -> None:
        self._users = users
        self._admin_token = admin_token.encode()
        self._device_of_token = device_of_token
        self._public_url = public_url

    async def caller(self, request: Request) -> dict[str, Any] | None:
        """Return `{"userId", "roles", …}` of the caller, or None."""
        token = _bearer(request.headers.get("authorization", ""))
        if token:
            return self._of_token(token)
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        # A WebSocket is opened by GET, but from then on it is not bound by any page's origin.
        is_safe = request.method in _SAFE_METHODS and request.get("ws") is None
        if not is_safe and not same_origin(request.headers, self._public_url):
            raise HTTPError(403, "the request does not come from this site")
        return await self._users.of_session(cookie)

    def _of_token(self, token: str) -> dict[str, Any] | None:
        if hmac.compare_digest(token.encode(), self._admin_token):
            return {"userId": ADMIN, "roles": [ADMIN]}
        device = self._device_of_token(token)
        if device is None:
            return None
        name = f"{device['tenant']}/{device['device']}"
        return {"userId": name, "roles": [DEVICE], **device}


def named_middlewares(authenticator: Authenticator) -> dict[str, Middleware]:
    """Return the middlewares that steps may name."""

    async def any_caller(request: Request, _ctx: Context, proceed: Next) -> Any:
        await _require(authenticator, request)
        return await proceed()

    async def page(request: Request, _ctx: Context, proceed: Next) -> Any:
        request.user = await authenticator.caller(request)
        if request.user is None or ADMIN not in request.user["roles"]:
            return {
                "status": 303,
                "headers": {"Location": f"/login?next={quote(request.target, safe='/')}"},
            }
        return await proceed()

    return {
        "authMiddleware": OnHead(any_caller),
        "adminMiddleware": _requiring(authenticator, ADMIN),
        "deviceMiddleware": _requiring(authenticator, ADMIN, DEVICE),
        "pageMiddleware": OnHead(page),
    }


def _requiring(authenticator: Authenticator, *roles: str) -> Middleware:
    async def require_role(request: Request, _ctx: Context, proceed: Next) -> Any:
        user = await _require(authenticator, request)
        if not set(roles) & set(user["roles"]):
            raise HTTPError(403, f"needs one of the roles: {', '.join(roles)}")
        return await proceed()

    return OnHead(require_role)


async def _require(authenticator: Authenticator, request: Request) -> dict[str, Any]:
    request.user = await authenticator.caller(request)
    if request.user is None:
        raise HTTPError(401, "needs a bearer token or a session")
    user: dict[str, Any] = request.user
    return user


def _bearer(header: str) -> str:
    """Return the token of `Bearer x`, or of `Token x` as InfluxDB's clients write it."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""
