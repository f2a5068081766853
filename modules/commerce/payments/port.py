"""The port through which money is taken: open a payment, charge it, give it back.

Two steps, because only so a crash between them cannot charge twice, whatever the provider keeps
of idempotency keys: opening moves no money, its id is written down, and a payment of known id
is charged at most once.
"""

from typing import Literal, Protocol

import msgspec

from modules.commerce.money import Money


class PaymentOrder(msgspec.Struct, frozen=True):
    """What is to be paid and with what; `key` is equal for every try of the same order."""

    order_id: str
    total: Money
    method: str
    key: str


class Charged(msgspec.Struct, frozen=True):
    """How a charge ended, for good. `reason` is a code of `orders.REASONS` when declined."""

    status: Literal["paid", "declined"]
    reason: str = ""


GivenBack = Literal["void", "refunded"]
"""`void`: no money had moved, and none will. `refunded`: all of it went back."""


class Payments(Protocol):
    """A payment provider. What may be repeated is said at each call."""

    async def open(self, order: PaymentOrder) -> str:
        """Prepare a payment and return its id; no money moves, and it may be repeated.

        Raises:
            PaymentRefused: there can be no such payment.
            PaymentAway: the provider does not answer; repeat it.
        """
        ...

    async def charge(self, payment_id: str) -> Charged:
        """Take the money, once: a payment that was taken is only reported again.

        Raises:
            PaymentAway: nobody knows what became of it; repeat it.
        """
        ...

    async def give_back(self, payment_id: str, *, key: str) -> GivenBack:
        """See to it that the payment's money is with the customer; it may be repeated.

        Raises:
            PaymentAway: not known yet; repeat it.
            PaymentRefused: the provider does not do it; a human must.
        """
        ...
