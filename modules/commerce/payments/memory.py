"""Payments that move no money: for a shop on one's own machine, and for tests.

The methods are called as Stripe calls those of its test mode; any other one is accepted.
"""

from typing import Literal

from modules.commerce.errors import PaymentRefused
from modules.commerce.money import Money
from modules.commerce.payments.port import Charged, GivenBack, PaymentOrder

MAX_PAYMENTS = 100_000
_DECLINED = {
    "pm_card_chargeCustomerFail": "card_declined",
    "pm_card_visa_chargeDeclined": "card_declined",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
}


class _Payment:
    def __init__(self, order: PaymentOrder) -> None:
        self.order = order
        self.status: Literal["open", "paid", "declined", "void", "refunded"] = "open"


class MemoryPayments:
    """See `payments.port.Payments`; forgets everything with its process.

    `charged` and `refunded` are what was taken and went back, in order. Beyond `max_payments` the
    oldest are forgotten.
    """

    def __init__(self, *, max_payments: int = MAX_PAYMENTS) -> None:
        self._max_payments = max_payments
        self.charged: list[tuple[str, Money]] = []
        self.refunded: list[str] = []
        self._payments: dict[str, _Payment] = {}

    async def open(self, order: PaymentOrder) -> str:
        """Prepare a payment; one key gives one payment."""
        if not order.method or not order.total.amount:
            raise PaymentRefused("payment_not_possible", "needs a method and an amount above 0")
        payment_id = f"memory-{order.key}"
        self._payments.setdefault(payment_id, _Payment(order))
        while len(self._payments) > self._max_payments:
            del self._payments[next(iter(self._payments))]
        return payment_id

    async def charge(self, payment_id: str) -> Charged:
        """Take the money, once."""
        payment = self._payments.get(payment_id)
        if payment is None or payment.status in ("void", "refunded"):
            return Charged("declined", "payment_not_possible")
        declined = _DECLINED.get(payment.order.method)
        if declined:
            payment.status = "declined"
            return Charged("declined", declined)
        if payment.status == "open":
            payment.status = "paid"
            self.charged.append((payment.order.order_id, payment.order.total))
        return Charged("paid")

    async def give_back(self, payment_id: str, *, key: str) -> GivenBack:  # noqa: ARG002
        """Return the money if it was taken, else see to it that it never is."""
        payment = self._payments.get(payment_id)
        if payment is None:
            return "void"
        if payment.status == "paid":
            payment.status = "refunded"
            self.refunded.append(payment.order.order_id)
        elif payment.status != "refunded":
            payment.status = "void"
        return "refunded" if payment.status == "refunded" else "void"
