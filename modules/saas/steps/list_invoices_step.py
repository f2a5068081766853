"""Lists a tenant's invoices with all that is printed on them."""

from typing import Any

import msgspec

from modules.saas import billing
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListInvoices",
    "description": "A tenant's invoices as data; amounts are minor units of the currency",
    "flows": ["saas"],
    "method": "GET",
    "path": "/billing/:tenantId/invoices",
    "middleware": ["authMiddleware", "tenantMiddleware"],
    "emits": [],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Return the invoices, the first one first."""
    if req.tenant is None:
        raise HTTPError(403, "the caller belongs to no tenant")
    invoices = await billing.all_invoices(ctx.state, req.path_params["tenantId"])
    listed = [
        {**msgspec.to_builtins(issued.invoice), "status": issued.status, "url": issued.url}
        for issued in invoices
    ]
    return {"status": 200, "body": {"invoices": listed}}
