"""`tenantMiddleware`: which tenant a request is about, and whether its caller belongs to it.

`ctx.state` is not narrowed to the tenant: a step spells its groups (`tenant:{tenantId}:data`),
and this middleware answers for it that the `tenantId` in the path is the caller's own.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.auth.caller import Record, is_administrator
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.middleware import Next, OnHead
from tidegate.http.request import Request

HEADER = "x-tenant"
TENANTS = "tenants"
_PATH_PARAMS = ("tenantId", "tenant_id", "tenant")

Require = Callable[[Request], Awaitable[Record]]


def tenant_middleware(require: Require) -> OnHead:
    """Return the middleware; `require` finds the caller where no middleware before did.

    The tenant is the path's (`:tenantId` or `:tenant`), else that of the header `X-Tenant`, else
    the caller's. It sets `req.tenant` (`state["tenants"][id]`, and its `id`), `req.user.tenant`
    and `req.user.tenantRoles`. A tenant that does not exist and one that is not the caller's are
    the same 404: nobody learns of another's. The administrator may enter every one.
    """

    async def enter(request: Request, ctx: Context, proceed: Next) -> Any:
        user = request.user or await require(request)
        tenant_id = _asked(request, user)
        if tenant_id is None:
            raise HTTPError(400, "name the tenant: in the path, or in the header X-Tenant")
        request.tenant = await _tenant(ctx, user, tenant_id)
        request.user = Record(user)
        request.user.update(tenant=tenant_id, tenantRoles=user["tenants"].get(tenant_id, []))
        return await proceed()

    return OnHead(enter)


def _asked(request: Request, user: Record) -> str | None:
    for name in _PATH_PARAMS:
        if name in request.path_params:
            return str(request.path_params[name])
    named: str | None = request.headers.get(HEADER) or user["tenant"]
    return named


async def _tenant(ctx: Context, user: Record, tenant_id: str) -> Any:
    """Return the tenant; a stranger's question does not even reach the state."""
    belongs = tenant_id in user["tenants"] or is_administrator(user)
    tenant = await ctx.state.get(TENANTS, tenant_id) if belongs else None
    if tenant is None:
        raise HTTPError(404, "no such tenant")
    return Record({"id": tenant_id, **tenant}) if isinstance(tenant, dict) else tenant
