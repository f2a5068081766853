"""Money is an integer of minor units (cents) and a currency: nothing is lost in adding. Pure."""

from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec

MAX_AMOUNT = 1_000_000_000_000
"""No price and no total is above this many minor units."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency: 19.99 euros are `Money(1999, "EUR")`."""

    amount: Amount
    currency: Currency


class Priced(Protocol):
    """Some pieces at one price, in minor units."""

    @property
    def price(self) -> int:
        """The price of a piece."""
        ...

    @property
    def quantity(self) -> int:
        """How many pieces."""
        ...


def subtotal(lines: Iterable[Priced]) -> int:
    """Return what the lines cost together, in minor units of their one currency."""
    return sum(line.price * line.quantity for line in lines)
