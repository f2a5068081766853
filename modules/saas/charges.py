"""From a plan and the calls of a month to the lines of an invoice. Pure, whole numbers only."""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from modules.saas.money import bounded, rounded
from modules.saas.plans import Plan, Price, Tier


class Line(msgspec.Struct, frozen=True):
    """One line: `quantity` at `price_minor` for `per` of them; `net_minor` is rounded once.

    `tax_rate` is a percentage in its shortest form, as `money.percent` returns it.
    """

    text: str
    quantity: int
    price_minor: int
    per: int
    net_minor: int
    tax_rate: str


def calculate_charges(plan: Plan, calls: int, *, currency: str, tax_rate: str) -> tuple[Line, ...]:
    """Return the month's price and, per tier, what the calls beyond the included ones cost.

    Raises:
        Rejected: the plan has no price in the currency, or an amount is beyond all bounds.
        ValueError: the number of calls is negative; usage is checked before.
    """
    if calls < 0:
        raise ValueError(f"calls must not be negative: {calls}")
    price = plan.price_in(currency)
    month = Line(f"{plan.title}, one month", 1, price.month_minor, 1, price.month_minor, tax_rate)
    beyond = max(0, calls - plan.included_calls)
    return (month, *_overage(price, beyond, plan.included_calls, tax_rate))


def _overage(price: Price, beyond: int, included: int, tax_rate: str) -> Iterator[Line]:
    for tier, start, quantity in tiered(price, beyond):
        net = bounded(rounded(Fraction(quantity * tier.price_minor, tier.per)))
        words = f"API calls beyond the {included:,} included"
        if len(price.tiers) > 1:
            words += f": {start + 1:,}\u2013{start + quantity:,}"
        yield Line(words, quantity, tier.price_minor, tier.per, net, tax_rate)


def tiered(price: Price, beyond: int) -> Iterator[tuple[Tier, int, int]]:
    """Yield `(tier, first, quantity)` for each tier that calls fall into; each call is in one."""
    start = 0
    for tier in price.tiers:
        end = beyond if tier.up_to is None else min(tier.up_to, beyond)
        if end > start:
            yield tier, start, end - start
            start = end
