"""Prepare an order's payment, and write its id down before any money moves."""

import msgspec

from modules.commerce.errors import PaymentAway, PaymentRefused
from modules.commerce.events import PaymentDue
from modules.commerce.orders import GROUP, Order
from modules.commerce.payments.port import PaymentOrder, Payments
from modules.commerce.records import load, save
from modules.commerce.stocking import fail
from tidegate.contract import Context
from tidegate.errors import RetryAfter

_ATTEMPTS = 8

config = {
    "type": "event",
    "name": "OpenPayment",
    "subscribes": ["payment.charge"],
    "input": PaymentDue,
    # Longer than all calls to the provider may take together, so that they end with an answer.
    "timeout": 60.0,
    "key": "/orderId",
    "emits": ["payment.opened", "order.failed"],
    "retry": {"attempts": _ATTEMPTS, "base": 2.0, "cap": 300.0},
}


async def handler(event: PaymentDue, ctx: Context, *, payments: Payments) -> None:
    """Open the payment at the provider; an order that is not to be charged is left alone."""
    order = await load(ctx.state, GROUP, event.order_id, Order)
    if order is None or order.status != "charging" or order.payment is not None:
        return
    wanted = PaymentOrder(
        event.order_id, order.money, order.payment_method, order.payment_key or event.order_id
    )
    try:
        payment_id = await ctx.run("open payment", lambda: payments.open(wanted))
    except PaymentRefused as exc:
        ctx.logger.warning("payment.refused", order=event.order_id, reason=str(exc))
        await fail(ctx, event.order_id, order, exc.reason)
        return
    except PaymentAway as exc:
        if ctx.attempt >= _ATTEMPTS:
            await fail(ctx, event.order_id, order, "payment_unavailable")
            return
        if exc.retry_after_s is not None:
            raise RetryAfter(exc.retry_after_s, str(exc)) from exc
        raise
    opened = msgspec.structs.replace(order, payment_id=payment_id, payment="opened")
    await save(ctx.state, GROUP, event.order_id, opened)
    await ctx.emit("payment.opened", event)
