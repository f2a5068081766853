"""Gives a tenant its own data: the value at a path, kept in the tenant's state group."""

from typing import Any

from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "TenantAPI",
    "description": "A tenant's data by its path; only for callers that belong to the tenant",
    "flows": ["saas"],
    "method": "GET",
    "path": "/api/:tenantId/*",
    "middleware": ["authMiddleware", "tenantMiddleware"],
    "emits": [],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Return the value at the path; 404 when there is none (0, false and '' are values)."""
    if req.tenant is None:  # no middleware let the caller in: better nothing than another's data
        raise HTTPError(403, "the caller belongs to no tenant")
    tenant_id = req.path_params["tenantId"]
    data = await ctx.state.get(f"tenant:{tenant_id}:data", req.path_params[0])
    if data is None:
        raise HTTPError(404, "there is nothing at this path")
    return {"status": 200, "body": data}
