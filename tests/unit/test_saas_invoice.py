"""Charges and sums: whatever is used and however it is taxed, the invoice adds up."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.saas.charges import Line, calculate_charges, tiered
from modules.saas.errors import Rejected
from modules.saas.invoice import Invoice, Order, add_up, make_invoice, number_of
from modules.saas.money import percent_of
from modules.saas.periods import Period
from modules.saas.plans import Plan, Price, Tier
from modules.saas.tenants import Customer
from modules.saas.terms import Seller, Terms

CALLS = st.integers(0, 10**12)
# Whatever they cost, one invoice can have the amount.
BILLABLE_CALLS = st.integers(0, 10**10)
ENDS = st.lists(st.integers(1, 10**9), max_size=4, unique=True).map(sorted)
LINES = st.lists(
    st.builds(
        Line,
        text=st.just("x"),
        quantity=st.just(1),
        price_minor=st.just(0),
        per=st.just(1),
        net_minor=st.integers(0, 10**12),
        tax_rate=st.sampled_from(["0", "7", "8.1", "19", "20"]),
    ),
    max_size=12,
).map(tuple)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Make a plan with up to five tiers."""
    prices, per = st.integers(0, 10**4), st.integers(1, 10**6)
    ends = [*draw(ENDS), None]
    tiers = tuple(Tier(draw(prices), draw(per), end) for end in ends)
    return Plan("p", "P", (Price("EUR", draw(prices), tiers),), draw(CALLS))


@given(plans(), CALLS)
def test_charges_price_every_call_once(plan: Plan, calls: int) -> None:
    """Included calls and those of the tiers are together what was used; none is in two tiers."""
    price = plan.price_in("EUR")
    beyond = max(0, calls - plan.included_calls)

    parts = list(tiered(price, beyond))

    assert sum(quantity for _, _, quantity in parts) == beyond
    ends = [start + quantity for _, start, quantity in parts]
    assert [start for _, start, _ in parts] == [0, *ends][: len(parts)]


@given(plans(), CALLS)
def test_charges_are_off_by_half_a_unit_per_line_at_most(plan: Plan, calls: int) -> None:
    """Each line is its exact price, rounded once."""
    for line in calculate_charges(plan, calls, currency="EUR", tax_rate="19"):
        exact = Fraction(line.quantity * line.price_minor, line.per)
        assert abs(line.net_minor - exact) <= Fraction(1, 2)


@given(plans(), CALLS, CALLS)
def test_charges_never_fall_when_more_is_used(plan: Plan, calls: int, more: int) -> None:
    """Who uses more does not pay less."""

    def net(used: int) -> int:
        lines = calculate_charges(plan, used, currency="EUR", tax_rate="19")
        return sum(line.net_minor for line in lines)

    assert net(calls) <= net(calls + more)


@given(LINES, st.integers(-(10**13), 10**13))
def test_sums_add_up(lines: tuple[Line, ...], credit_minor: int) -> None:
    """Lines, taxes, total, credit and due agree to the last unit."""
    sums = add_up(lines, credit_minor=credit_minor)

    assert sums.net_minor == sum(line.net_minor for line in lines)
    assert sums.net_minor == sum(tax.net_minor for tax in sums.taxes)
    assert sums.tax_minor == sum(tax.tax_minor for tax in sums.taxes)
    assert sums.total_minor == sums.net_minor + sums.tax_minor
    assert sums.total_minor == sums.credit_minor + sums.due_minor
    assert 0 <= sums.credit_minor <= max(0, credit_minor)
    assert sums.due_minor >= 0


@given(LINES)
def test_tax_is_rounded_once_per_rate(lines: tuple[Line, ...]) -> None:
    """Not per line: the tax of a rate is that of the sum of its lines."""
    taxes = add_up(lines).taxes

    for tax in taxes:
        net = sum(line.net_minor for line in lines if line.tax_rate == tax.rate)
        assert (tax.net_minor, tax.tax_minor) == (net, percent_of(tax.rate, net))
    rates = [Fraction(tax.rate) for tax in taxes]
    assert rates == sorted(set(rates))


def test_tax_of_many_small_lines_is_not_lost() -> None:
    """Ten lines of 2 cents at 19 % have 4 cents of tax; rounded per line there would be none."""
    lines = tuple(Line("x", 1, 2, 1, 2, "19") for _ in range(10))

    assert add_up(lines).tax_minor == 4


@given(plans(), BILLABLE_CALLS, st.text(max_size=50), st.lists(st.text(max_size=30), max_size=8))
def test_invoice_is_the_same_after_its_way_through_the_state(
    plan: Plan, calls: int, name: str, address: list[str]
) -> None:
    """What is kept is what was issued, without a float, whatever a tenant is called."""
    invoice = invoice_of(plan, calls, Customer("p", name=name, address=address))

    plain = msgspec.json.decode(msgspec.json.encode(invoice))

    assert msgspec.convert(plain, Invoice) == invoice
    assert msgspec.convert(plain, Invoice).digest == invoice.digest
    assert not list(floats(plain))


def invoice_of(plan: Plan, calls: int, customer: Customer) -> Invoice:
    """Make an invoice of January."""
    order = Order("acme", Period(2026, 1), calls, plan.included_calls)
    lines = calculate_charges(plan, calls, currency="EUR", tax_rate="19")
    return make_invoice(
        order,
        customer,
        lines,
        sequence=1,
        credit_minor=0,
        seller=Seller(),
        terms=Terms(),
        now=datetime(2026, 2, 1, tzinfo=UTC),
    )


def floats(value: Any) -> Iterator[float]:
    """Find floats at any depth."""
    if isinstance(value, float):
        yield value
    children = value.values() if isinstance(value, dict) else value
    for item in children if isinstance(value, (dict, list)) else ():
        yield from floats(item)


def test_invoice_is_issued_on_the_tenants_day() -> None:
    """Late in the evening of 31 January in UTC it is February in Tokyo."""
    plan = Plan("p", "P", (Price("EUR", 100),))
    order, customer = Order("acme", Period(2026, 1), 0, 0), Customer("p", timezone="Asia/Tokyo")

    invoice = make_invoice(
        order,
        customer,
        calculate_charges(plan, 0, currency="EUR", tax_rate="19"),
        sequence=1,
        credit_minor=0,
        seller=Seller(),
        terms=Terms(payment_days=30),
        now=datetime(2026, 1, 31, 20, tzinfo=UTC),
    )

    assert (str(invoice.issued_on), str(invoice.due_on)) == ("2026-02-01", "2026-03-03")


def test_charges_refuse_negative_usage_and_unknown_currencies() -> None:
    """Neither can be billed."""
    plan = Plan("p", "P", (Price("EUR", 100),))

    with pytest.raises(ValueError, match="negative"):
        calculate_charges(plan, -1, currency="EUR", tax_rate="19")
    with pytest.raises(Rejected, match="no price in 'USD', only in EUR"):
        calculate_charges(plan, 1, currency="USD", tax_rate="19")


def test_number_sorts_and_says_whose_it_is() -> None:
    """The number is the tenant's id and five digits, more when they are used up."""
    assert [number_of("acme", n) for n in (1, 123456)] == ["acme-00001", "acme-123456"]
