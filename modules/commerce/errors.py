"""Errors of the shop. Each class says who acts.

CommerceError
├── CartRefused       the shopper: the text says what to change
├── OutOfStock        the shop: the order fails, nothing was reserved
├── PaymentAway       the runtime retries: nobody knows yet what became of the payment
└── PaymentRefused    the order fails: this payment can never be taken
"""


class CommerceError(Exception):
    """Root of the shop's errors."""


class CartRefused(CommerceError):
    """The cart cannot take this; the text is for the shopper."""


class OutOfStock(CommerceError):
    """Less of a product is free than an order needs."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"not enough of product '{product_id}' is free")
        self.product_id = product_id


class PaymentAway(CommerceError):
    """The provider did not answer, or not for certain: ask again."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class PaymentRefused(CommerceError):
    """The provider takes no such payment, now or later; `reason` is a code for the shop."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
