"""Makes the invoice of a tenant's month: first as data in one transaction, then as a PDF.

Two transactions, so that the seconds of printing are in none that counts: the first takes the
number, closes the month's usage and keeps all that will be printed; it orders the second by
`invoice.issued`. Whatever is delivered twice finds what was done and does what is missing.
"""

from datetime import timedelta

import msgspec

from modules.saas import billing, usage
from modules.saas.charges import calculate_charges
from modules.saas.errors import Rejected
from modules.saas.events import InvoiceCreated, InvoiceOrder
from modules.saas.invoice import Issued, Order, make_invoice, tax_rate_of
from modules.saas.invoice_files.port import InvoiceFiles
from modules.saas.periods import Period, end_of, parse_period, start_of
from modules.saas.plans import plan_of
from modules.saas.printing import Printer
from modules.saas.settings import SaasSettings
from modules.saas.tenants import GROUP as TENANTS
from modules.saas.tenants import Customer, tenant_as
from modules.saas.wording import mail_of
from tidegate.contract import Context

# No two zones of the world are further apart: so early may a scheduler elsewhere see a new month.
_ZONES_APART = timedelta(hours=26)


config = {
    "type": "event",
    "name": "GenerateInvoice",
    "description": "One invoice per tenant and month: gapless number, closed usage, PDF, e-mail",
    "flows": ["saas"],
    "subscribes": ["billing.invoice.create", "invoice.issued"],
    "emits": ["invoice.created", "email.send", "invoice.issued", "billing.invoice.create"],
    "input": InvoiceOrder,
    "key": "/tenantId",
    "retry": {"attempts": 8, "base": 2.0, "cap": 300.0},
    # [terms] print_timeout_s ends the printing; this one also bounds what is around it.
    "timeout": 660.0,
    "concurrency": 4,
}


async def handler(
    order: InvoiceOrder,
    ctx: Context,
    *,
    saas_settings: SaasSettings,
    invoice_files: InvoiceFiles,
    invoice_printer: Printer,
) -> None:
    """Issue the invoice, or, when it is issued, print and announce it.

    Raises:
        Rejected: tenant, plan, month or usage are wrong: a dead letter, to be redriven once that
            is corrected.
    """
    period = parse_period(order.billing_period)
    number = await billing.number_of_period(ctx.state, order.tenant_id, period)
    if number is None:
        await _issue(order, period, ctx, saas_settings)
        return
    issued = await billing.find_invoice(ctx.state, order.tenant_id, number)
    if issued is not None and issued.status == "issued":
        await _deliver(issued, ctx, invoice_files, invoice_printer)


async def _issue(order: InvoiceOrder, period: Period, ctx: Context, settings: SaasSettings) -> None:
    """Fix what is billed. All of this commits together, or nothing of it."""
    tenant_id = order.tenant_id
    record = await ctx.state.get(TENANTS, tenant_id)
    customer = tenant_as(Customer, tenant_id, record)
    if await _is_put_off(order, period, customer, ctx):
        return
    used = await billing.usage_of(ctx.state, tenant_id, period)
    calls = usage.total_of(used.values())
    plan = plan_of(settings.catalogue, customer.plan)
    currency = customer.currency or settings.terms.currency
    rate = tax_rate_of(customer, settings.terms)
    credit_minor = await billing.credit_of(ctx.state, tenant_id, currency)
    invoice = make_invoice(
        Order(tenant_id, period, calls, plan.included_calls),
        customer,
        calculate_charges(plan, calls, currency=currency, tax_rate=rate),
        sequence=await billing.next_sequence(ctx.state, tenant_id),
        credit_minor=credit_minor,
        seller=settings.seller,
        terms=settings.terms,
        now=ctx.now(),
    )
    if spent := invoice.sums.credit_minor:
        left = credit_minor - spent
        await billing.spend_credit(ctx.state, tenant_id, currency=currency, left_minor=left)
    await billing.close_period(
        ctx.state,
        tenant_id,
        period,
        number=invoice.number,
        used=used,
        days=settings.terms.usage_days,
    )
    url = f"{settings.terms.public_url}/billing/{tenant_id}/invoices/{invoice.number}.pdf"
    await billing.put_invoice(ctx.state, Issued(invoice, mail_to=customer.mail_to, url=url))
    await ctx.emit("invoice.issued", order)


async def _is_put_off(
    order: InvoiceOrder, period: Period, customer: Customer, ctx: Context
) -> bool:
    """Put an order off to the end of its month when that is near.

    A scheduler in another zone may see the new month first. An order long before the end is
    meant: a tenant leaves. Then the month is closed early, and later calls go to the next one.
    """
    now, end = ctx.now(), end_of(period, customer.zone)
    if now < start_of(period.first_day, customer.zone):
        raise Rejected(f"{period} has not begun for tenant '{order.tenant_id}': order it later")
    if now >= end or end - now > _ZONES_APART:
        return False
    wait_s = (end - now).total_seconds()
    await ctx.emit("billing.invoice.create", order, delay=wait_s)
    ctx.logger.info("invoice.put_off", tenant_id=order.tenant_id, period=str(period))
    return True


async def _deliver(issued: Issued, ctx: Context, files: InvoiceFiles, printer: Printer) -> None:
    """Print what was issued and tell of it; printed twice it is the same file."""
    invoice = issued.invoice

    async def print_it() -> int:
        content = await printer(invoice)
        await files.write(invoice.tenant_id, invoice.number, content)
        return len(content)

    size_bytes = await ctx.run("print", print_it)
    await billing.put_invoice(ctx.state, msgspec.structs.replace(issued, status="ready"))
    await ctx.emit("invoice.created", _created(issued))
    if issued.mail_to:
        await ctx.emit("email.send", mail_of(issued))
    else:
        ctx.logger.warning("invoice.not_mailed", number=invoice.number, reason="no address")
    ctx.logger.info("invoice.created", number=invoice.number, size_bytes=size_bytes)


def _created(issued: Issued) -> InvoiceCreated:
    invoice = issued.invoice
    return InvoiceCreated(
        tenant_id=invoice.tenant_id,
        invoice_url=issued.url,
        amount=invoice.sums.total_minor,
        amount_due=invoice.sums.due_minor,
        currency=invoice.currency,
        number=invoice.number,
        billing_period=invoice.billing_period,
        due_on=invoice.due_on.isoformat(),
    )
