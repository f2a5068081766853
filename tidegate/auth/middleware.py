"""The named middlewares of api steps: who may call.

A caller is known by a bearer token or by a session cookie. A cookie alone is not enough to change
something: the request must also come from our own pages.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tidegate.auth.authenticator import Authenticator, DeviceOfToken
from tidegate.auth.caller import ADMIN, DEVICE, Record, is_administrator, is_restricted_key
from tidegate.auth.guards import Scope
from tidegate.auth.tenant import Require, tenant_middleware
from tidegate.contract import Context, Step
from tidegate.errors import HTTPError
from tidegate.http.middleware import Middleware, Next, OnHead, PerStep
from tidegate.http.request import Request

MIDDLEWARE_NAMES = (
    "authMiddleware",
    "adminMiddleware",
    "deviceMiddleware",
    "pageMiddleware",
    "surfaceMiddleware",
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


def named_middlewares(
    authenticator: Authenticator, *, shows_surface: bool = False
) -> dict[str, Middleware]:
    """Return the middlewares that steps may name.

    With `shows_surface` the documents that describe the system are for everybody: in development.
    """
    require = _requiring(authenticator)

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

    async def everybody(_request: Request, _ctx: Context, proceed: Next) -> Any:
        return await proceed()

    return {
        "authMiddleware": _open_to_keys(authenticator, _any_caller),
        "adminMiddleware": OnHead(admin),
        "deviceMiddleware": OnHead(device),
        "pageMiddleware": OnHead(page),
        "surfaceMiddleware": OnHead(everybody)
        if shows_surface
        else _open_to_keys(authenticator, _any_caller),
        "tenantMiddleware": _open_to_keys(authenticator, tenant_middleware),
    }


def _any_caller(require: Require) -> OnHead:
    async def any_caller(request: Request, _ctx: Context, proceed: Next) -> Any:
        await require(request)
        return await proceed()

    return OnHead(any_caller)


def _open_to_keys(authenticator: Authenticator, make: Callable[[Require], OnHead]) -> PerStep:
    """Return a middleware that lets a key for certain scopes into steps that ask for a scope.

    The scope itself is checked after this, by what the step lists.
    """

    def for_step(step: Step) -> OnHead:
        scoped = any(isinstance(item, Scope) for item in step.config.middleware)
        return make(_requiring(authenticator, scoped=scoped))

    return PerStep(make(_requiring(authenticator)), for_step)


def _requiring(authenticator: Authenticator, *, scoped: bool = False) -> Require:
    """Return what finds the caller, and refuses a request that has none."""

    async def require(request: Request) -> Record:
        request.user = await authenticator.caller(request)
        if request.user is None:
            raise HTTPError(401, "needs a bearer token or a session")
        user: Record = request.user
        if is_restricted_key(user) and not scoped:
            raise HTTPError(403, "the key is for certain scopes, and this asks for none")
        return user

    return require
