"""See to it that nobody pays for an order that is off."""

import msgspec

from modules.commerce.errors import PaymentAway
from modules.commerce.events import PaymentDue, PaymentRefunded
from modules.commerce.orders import GROUP, Order
from modules.commerce.payments.port import Payments
from modules.commerce.records import load, save
from tidegate.contract import Context
from tidegate.errors import RetryAfter

_OFF = ("failed", "cancelled")
_SETTLED = ("declined", "void", "refunded")

config = {
    "type": "event",
    "name": "RefundPayment",
    "subscribes": ["payment.refund"],
    "input": PaymentDue,
    # Longer than all calls to the provider may take together, so that they end with an answer.
    "timeout": 60.0,
    "key": "/orderId",
    "emits": ["payment.refunded"],
    # About 20 hours; what is dead after that is for a human.
    "retry": {"attempts": 30, "base": 5.0, "cap": 3600.0},
}


async def handler(event: PaymentDue, ctx: Context, *, payments: Payments) -> None:
    """Give back what was taken for an order that is off, or see to it that nothing will be."""
    order = await load(ctx.state, GROUP, event.order_id, Order)
    if order is None or order.status not in _OFF or order.payment in _SETTLED:
        return
    payment_id = order.payment_id
    if payment_id is None:
        return
    key = f"{order.payment_key or event.order_id}/refund"
    try:
        went = await ctx.run("give back", lambda: payments.give_back(payment_id, key=key))
    except PaymentAway as exc:
        if exc.retry_after_s is not None:
            raise RetryAfter(exc.retry_after_s, str(exc)) from exc
        raise
    await save(ctx.state, GROUP, event.order_id, msgspec.structs.replace(order, payment=went))
    ctx.logger.info("payment.given_back", order=event.order_id, outcome=went)
    if went == "refunded":
        await ctx.emit(
            "payment.refunded", PaymentRefunded(event.order_id, order.total, order.currency)
        )
