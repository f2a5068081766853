"""An invoice as data: all that is printed is in it, so that a reprint says the same. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from modules.saas.charges import Line
from modules.saas.glyphs import printable
from modules.saas.money import bounded, percent, percent_of
from modules.saas.periods import Period, day_of
from modules.saas.tenants import Customer
from modules.saas.terms import Seller, Terms

REVERSE_CHARGE = (
    "Reverse charge: VAT is to be accounted for by the recipient "
    "(Articles 44 and 196, Directive 2006/112/EC)."
)


class Buyer(msgspec.Struct, frozen=True):
    """Who is billed, as the tenant's record said on the day of issue."""

    name: str
    address: tuple[str, ...]
    vat_id: str


class TaxLine(msgspec.Struct, frozen=True):
    """One tax rate: the sum of its lines and the tax on that sum, rounded once."""

    rate: str
    net_minor: int
    tax_minor: int


class Sums(msgspec.Struct, frozen=True):
    """`total = net + tax`; `due = total - credit`, never below zero."""

    taxes: tuple[TaxLine, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    credit_minor: int
    due_minor: int


class Invoice(msgspec.Struct, frozen=True):
    """An issued invoice; it never changes again. Amounts are minor units of `currency`."""

    number: str
    tenant_id: str
    billing_period: str
    first_day: date
    last_day: date
    timezone: str
    issued_at: datetime
    issued_on: date
    due_on: date
    currency: str
    tax_name: str
    seller: Seller
    buyer: Buyer
    calls: int
    included_calls: int
    lines: tuple[Line, ...]
    sums: Sums
    notes: tuple[str, ...] = ()
    schema: int = 1

    @property
    def digest(self) -> bytes:
        """16 bytes that are the same for the same data."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).digest()[:16]


class Issued(msgspec.Struct, frozen=True):
    """An invoice in the state: `issued` until its PDF lies in the data folder, then `ready`."""

    invoice: Invoice
    status: Literal["issued", "ready"] = "issued"
    mail_to: str = ""
    url: str = ""


class Order(msgspec.Struct, frozen=True):
    """What an invoice is made for: whose month, the calls counted in it, the plan's inclusion."""

    tenant_id: str
    period: Period
    calls: int
    included_calls: int


def add_up(lines: Sequence[Line], *, credit_minor: int = 0) -> Sums:
    """Add lines up: per tax rate first, the tax rounded once per rate.

    A credit pays what is due and not more; none, or a negative one, changes nothing.
    """
    taxes = tuple(_tax_lines(lines))
    net = bounded(sum(line.net_minor for line in lines))
    tax = sum(line.tax_minor for line in taxes)
    total = bounded(net + tax)
    credit = max(0, min(credit_minor, total))
    return Sums(taxes, net, tax, total, credit, total - credit)


def _tax_lines(lines: Sequence[Line]) -> Iterable[TaxLine]:
    for rate in sorted(
        {line.tax_rate for line in lines}, key=lambda text: [*map(int, _parts(text))]
    ):
        net = sum(line.net_minor for line in lines if line.tax_rate == rate)
        yield TaxLine(rate, net, percent_of(rate, net))


def _parts(rate: str) -> tuple[str, str]:
    whole, _, digits = rate.partition(".")
    return whole, digits.ljust(4, "0")


def number_of(tenant_id: str, sequence: int) -> str:
    """Return the invoice number: the tenant's id and its running number, `acme-00001`."""
    return f"{tenant_id}-{sequence:05d}"


def tax_rate_of(customer: Customer, terms: Terms) -> str:
    """Return the rate that is charged: none under reverse charge, else the tenant's or ours."""
    if customer.reverse_charge:
        return "0"
    return percent(terms.tax_rate if customer.tax_rate is None else customer.tax_rate)


def make_invoice(
    order: Order,
    customer: Customer,
    lines: tuple[Line, ...],
    *,
    sequence: int,
    credit_minor: int,
    seller: Seller,
    terms: Terms,
    now: datetime,
) -> Invoice:
    """Put an invoice together; `now` is the moment of issue."""
    issued_on = day_of(now, customer.zone)
    return Invoice(
        number=number_of(order.tenant_id, sequence),
        tenant_id=order.tenant_id,
        billing_period=str(order.period),
        first_day=order.period.first_day,
        last_day=order.period.last_day,
        timezone=customer.timezone,
        issued_at=now,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=terms.payment_days),
        currency=customer.currency or terms.currency,
        tax_name=terms.tax_name,
        seller=seller,
        buyer=_buyer(order.tenant_id, customer),
        calls=order.calls,
        included_calls=order.included_calls,
        lines=lines,
        sums=add_up(lines, credit_minor=credit_minor),
        notes=(REVERSE_CHARGE,) if customer.reverse_charge else (),
    )


def _buyer(tenant_id: str, customer: Customer) -> Buyer:
    lines = tuple(filter(None, map(printable, customer.address_lines)))
    return Buyer(printable(customer.name) or tenant_id, lines, printable(customer.vat_id))
