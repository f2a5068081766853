"""Gives a tenant the PDF of an invoice; a file that was lost is printed again from the data."""

from typing import Any

from modules.saas import billing
from modules.saas.invoice import Invoice
from modules.saas.invoice_files.port import InvoiceFiles
from modules.saas.printing import Printer
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from tidegate.printing.errors import PrintFailed, PrintUnavailable

config = {
    "type": "api",
    "name": "GetInvoice",
    "description": "The PDF of a tenant's invoice; 202 while it is being printed",
    "flows": ["saas"],
    "method": "GET",
    # Not below /api/:tenantId/, where every path is a key of the tenant's data.
    "path": "/billing/:tenantId/invoices/:file",
    "middleware": ["authMiddleware", "tenantMiddleware"],
    "emits": [],
    "timeout": 90.0,
}

_RETRY_AFTER_S = 2


async def handler(
    req: Request, ctx: Context, *, invoice_files: InvoiceFiles, invoice_printer: Printer
) -> dict[str, Any]:
    """Return the PDF; 404 when the tenant has no such invoice."""
    if req.tenant is None:
        raise HTTPError(403, "the caller belongs to no tenant")
    number = str(req.path_params["file"]).removesuffix(".pdf")
    issued = await billing.find_invoice(ctx.state, req.path_params["tenantId"], number)
    if issued is None:
        raise HTTPError(404, "there is no such invoice")
    if issued.status == "issued":
        again = {"Retry-After": str(_RETRY_AFTER_S)}
        return {"status": 202, "headers": again, "body": {"number": number, "status": "issued"}}
    content = await _content(issued.invoice, invoice_files, invoice_printer)
    return {"status": 200, "headers": _headers(number), "body": content}


async def _content(invoice: Invoice, files: InvoiceFiles, printer: Printer) -> bytes:
    content = await files.read(invoice.tenant_id, invoice.number)
    if content is not None:
        return content
    try:
        content = await printer(invoice)
    except (PrintFailed, PrintUnavailable) as exc:
        raise HTTPError(503, "the invoice cannot be printed now") from exc
    await files.write(invoice.tenant_id, invoice.number, content)
    return content


def _headers(number: str) -> dict[str, str]:
    return {
        "Content-Type": "application/pdf",
        "Content-Disposition": f'inline; filename="{number}.pdf"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
