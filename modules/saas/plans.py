"""Plans: what a tenant may use in a day, what is included in a month, what more costs. Pure."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from modules.saas.errors import Rejected
from modules.saas.money import digits_of
from tidegate.errors import Misconfigured

_Calls = Annotated[int, Meta(ge=0, le=10**15)]
_Minor = Annotated[int, Meta(ge=0, le=10**12)]


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price of calls beyond the included ones: `price_minor` minor units for `per` calls.

    It holds up to the `up_to`-th of them; the last tier has no end.
    """

    price_minor: _Minor
    per: Annotated[int, Meta(ge=1, le=10**9)] = 1000
    up_to: Annotated[int, Meta(ge=1, le=10**15)] | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan's price in one currency: a month, and the tiers; without tiers more is free."""

    currency: str
    month_minor: _Minor
    tiers: tuple[Tier, ...] = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan; `daily_api_calls` of None is unlimited."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    prices: tuple[Price, ...]
    included_calls: _Calls = 0
    daily_api_calls: _Calls | None = None

    def price_in(self, currency: str) -> Price:
        """Return the price; raise `Rejected` when the plan is not sold in that currency."""
        for price in self.prices:
            if price.currency == currency:
                return price
        sold = ", ".join(price.currency for price in self.prices) or "none"
        raise Rejected(f"plan '{self.name}' has no price in {currency[:8]!r}, only in {sold}")


Catalogue = Mapping[str, Plan]


def catalogue_of(plans: Iterable[Plan]) -> Catalogue:
    """Return the plans by name.

    Raises:
        Misconfigured: a name is there twice, a currency is unknown, or tiers leave calls unpriced.
    """
    known: dict[str, Plan] = {}
    for plan in plans:
        if plan.name in known:
            raise Misconfigured(f"plan '{plan.name}' is there twice: give each a name of its own")
        if len({price.currency for price in plan.prices}) < len(plan.prices):
            raise Misconfigured(f"plan '{plan.name}' has two prices in one currency: drop one")
        for price in plan.prices:
            _check(plan.name, price)
        known[plan.name] = plan
    return known


def plan_of(catalogue: Catalogue, name: str) -> Plan:
    """Return a plan; raise `Rejected` when the catalogue has none of that name."""
    plan = catalogue.get(name)
    if plan is None:
        known = ", ".join(sorted(catalogue)) or "none"
        raise Rejected(f"plan {name[:64]!r} is not in the catalogue; known are: {known}")
    return plan


def _check(name: str, price: Price) -> None:
    try:
        digits_of(price.currency)
    except Rejected as exc:
        raise Misconfigured(f"plan '{name}': {exc}") from exc
    ends = [tier.up_to for tier in price.tiers]
    if ends and ends[-1] is not None:
        raise Misconfigured(f"plan '{name}' in {price.currency}: the last tier must not have up_to")
    closed = [end for end in ends[:-1] if end is not None]
    if len(closed) != len(ends[:-1]) or closed != sorted(set(closed)):
        raise Misconfigured(f"plan '{name}' in {price.currency}: up_to of the tiers must rise")
