"""Where the state keeps invoices, closed periods, number sequences and credits.

All of it is read and written in the invocation's transaction: that is what makes the numbers
gapless and the invoice of a period the only one.
"""

from typing import Any

import msgspec

from modules.saas import usage
from modules.saas.errors import Rejected
from modules.saas.invoice import Issued
from modules.saas.periods import Period
from tidegate.contract import State

_PERIODS = "billing_periods"
_NUMBERS = "invoice_numbers"
_CREDITS = "credits"
_DAY_S = 86_400.0


def invoices_of(tenant_id: str) -> str:
    """Return the state group of a tenant's invoices; its keys are their numbers."""
    return f"tenant:{tenant_id}:invoices"


async def number_of_period(state: State, tenant_id: str, period: Period) -> str | None:
    """Return the number of the invoice that closed a period, None while it is open."""
    closed = await state.get(_PERIODS, f"{tenant_id}:{period}")
    return None if closed is None else str(closed["number"])


async def open_period(state: State, tenant_id: str, period: Period) -> Period:
    """Return the period, or the first open one after it when it is closed."""
    while await number_of_period(state, tenant_id, period) is not None:
        period = period.following
    return period


async def next_sequence(state: State, tenant_id: str) -> int:
    """Take the tenant's next invoice number; if the transaction fails it was never taken."""
    last = await state.get(_NUMBERS, tenant_id) or 0
    await state.set(_NUMBERS, tenant_id, last + 1)
    return int(last) + 1


async def usage_of(state: State, tenant_id: str, period: Period) -> dict[str, Any]:
    """Return what was counted in a period, by key."""
    keys = usage.keys_of(tenant_id, period)
    values = {key: await state.get(usage.GROUP, key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}


async def close_period(
    state: State, tenant_id: str, period: Period, *, number: str, used: dict[str, Any], days: int
) -> None:
    """Close a period for good; what was counted in it lapses `days` later."""
    await state.set(_PERIODS, f"{tenant_id}:{period}", {"number": number})
    for key, value in used.items():
        await state.set(usage.GROUP, key, value, ttl=days * _DAY_S)


async def credit_of(state: State, tenant_id: str, currency: str) -> int:
    """Return what the tenant has in credit, in minor units; 0 when nothing.

    Raises:
        Rejected: the credit is not a whole amount, or in another currency.
    """
    credit = await state.get(_CREDITS, tenant_id)
    if credit is None:
        return 0
    minor = credit.get("minor") if isinstance(credit, dict) else None
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0:
        raise Rejected(f"credit of tenant '{tenant_id}' must be {{minor, currency}}: correct it")
    if minor and credit.get("currency") != currency:
        raise Rejected(f"credit of tenant '{tenant_id}' is not in {currency}: convert it first")
    return minor


async def spend_credit(state: State, tenant_id: str, *, currency: str, left_minor: int) -> None:
    """Set what is left of a credit."""
    await state.set(_CREDITS, tenant_id, {"minor": left_minor, "currency": currency})


async def find_invoice(state: State, tenant_id: str, number: str) -> Issued | None:
    """Return an invoice of that tenant, None when it has none of that number."""
    kept = await state.get(invoices_of(tenant_id), number)
    return None if kept is None else msgspec.convert(kept, Issued)


async def all_invoices(state: State, tenant_id: str) -> list[Issued]:
    """Return the tenant's invoices, the first one first."""
    kept = await state.get_group(invoices_of(tenant_id))
    return sorted(msgspec.convert(kept, list[Issued]), key=lambda issued: issued.invoice.issued_at)


async def put_invoice(state: State, issued: Issued) -> None:
    """Keep an invoice for good."""
    invoice = issued.invoice
    await state.set(invoices_of(invoice.tenant_id), invoice.number, msgspec.to_builtins(issued))
