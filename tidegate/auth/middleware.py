"""The named middlewares of api steps: who may call.

A caller is known by a bearer token or by a session cookie. A cookie alone is not enough to change
something: the request must also come from our own pages.
"""

from typing import Any
from urllib.parse import quote

from tidegate.auth.authenticator import Authenticator, DeviceOfToken
from tidegate.auth.caller import ADMIN, DEVICE, Record, is_administrator, is_restricted_key
from tidegate.auth.guards import Scope
from tidegate.auth.tenant import Require, tenant_middleware
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.middleware import Middleware, Next, OnHead
from tidegate.http.request import Request

MIDDLEWARE_NAMES = (
    "authMiddleware",
    "adminMiddleware",
    "deviceMiddleware",
    "pageMiddleware",
    "tenantMiddleware",
)

__all__ = [
    "ADMIN",
    "DEVICE",
    "MIDDLEWARE_NAMES",
    "Authenticator",
    "DeviceOfToken",
    "named_middlewares",
]


def named_middlewares(authenticator: Authenticator) -> dict[str, Middleware]:
    """Return the middlewares that steps may name."""
    require = _requiring(authenticator)

    async def any_caller(request: Request, _ctx: Context, proceed: Next) -> Any:
        await require(request)
        return await proceed()

    async def device(request: Request, _ctx: Context, proceed: Next) -> Any:
        user = await require(request)
        if not is_administrator(user) and user["kind"] != "device":
            raise HTTPError(403, f"needs one of the roles: {ADMIN}, {DEVICE}")
        return await proceed()

    async def admin(request: Request, _ctx: Context, proceed: Next) -> Any:
        if not is_administrator(await require(request)):
            raise HTTPError(403, f"needs the role: {ADMIN}")
        return await proceed()

    async def page(request: Request, _ctx: Context, proceed: Next) -> Any:
        request.user = await authenticator.caller(request)
        if request.user is None or not is_administrator(request.user):
            return {
                "status": 303,
                "headers": {"Location": f"/login?next={quote(request.target, safe='/')}"},
            }
        return await proceed()

    return {
        "authMiddleware": OnHead(any_caller),
        "adminMiddleware": OnHead(admin),
        "deviceMiddleware": OnHead(device),
        "pageMiddleware": OnHead(page),
        "tenantMiddleware": tenant_middleware(require),
    }


def _requiring(authenticator: Authenticator) -> Require:
    """Return what finds the caller, and refuses a request that has none."""

    async def require(request: Request) -> Record:
        request.user = await authenticator.caller(request)
        if request.user is None:
            raise HTTPError(401, "needs a bearer token or a session")
        user: Record = request.user
        if is_restricted_key(user) and not _asks_for_scope(request):
            raise HTTPError(403, "the key is for certain scopes, and this asks for none")
        return user

    return require


def _asks_for_scope(request: Request) -> bool:
    """Tell whether the step lists a scope, which is then checked after this."""
    step = request.get("step")
    return step is not None and any(isinstance(item, Scope) for item in step.middleware)
