"""An order: what it holds, and which way it may go. Pure.

placed → (review → placed) → charging → confirmed
                    └──────────┴→ failed        cancelled: by whoever may, at any time before
"""

from typing import Annotated, Literal

import msgspec

from modules.commerce.fraud import Verdict
from modules.commerce.money import Amount, Currency, Money

GROUP = "orders"

Status = Literal["placed", "review", "charging", "confirmed", "failed", "cancelled"]

# What the customer may read: neither what the card's issuer said nor what the fraud check found.
REASONS = {
    "order_missing": "There is no such order.",
    "order_invalid": "The order cannot be read.",
    "out_of_stock": "Something in this order is sold out.",
    "refused": "This order cannot be accepted.",
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has not enough funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is wrong.",
    "authentication_required": "The card needs its owner's confirmation.",
    "payment_not_possible": "This payment is not possible.",
    "payment_unavailable": "The payment could not be made. You were not charged.",
}


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """So many pieces of a product at the price of the checkout, in minor units."""

    product_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=999)]
    price: Amount


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """What processing needs of an order; its record may say more, which stays as it is.

    `total` (minor units) is what is charged: items, shipping and taxes less discounts, as the
    checkout agreed it. `paymentKey` makes the provider recognise a repeated request; it stands
    here before any money moves. `reviewed` is what a human decided.
    """

    customer_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1, max_length=100)]
    total: Amount
    currency: Currency
    payment_method: str = ""
    status: Status = "placed"
    fraud_verdict: Verdict | None = None
    fraud_reasons: tuple[str, ...] = ()
    reviewed: Literal["accept", "reject"] | None = None
    reservation_id: str | None = None
    reservation: Literal["held", "used", "released"] | None = None
    payment_key: str | None = None
    payment_id: str | None = None
    payment: Literal["opened", "paid", "declined", "unknown", "void", "refunded"] | None = None
    failure: str | None = None

    @property
    def money(self) -> Money:
        """What is charged."""
        return Money(self.total, self.currency)

    @property
    def is_waiting(self) -> bool:
        """Tell whether it is to be taken up: placed, or reviewed by now."""
        return self.status == "placed" or (self.status == "review" and self.reviewed is not None)
