"""Take an order's money, once, and let the order end one way or the other."""

import msgspec

from modules.commerce import fraud
from modules.commerce.errors import PaymentAway
from modules.commerce.events import OrderConfirmed, PaymentDue
from modules.commerce.orders import GROUP, Order
from modules.commerce.payments.port import Charged, Payments
from modules.commerce.records import load, save
from modules.commerce.stocking import fail, load_history, use_stock
from tidegate.contract import Context
from tidegate.errors import RetryAfter

_ATTEMPTS = 8

config = {
    "type": "event",
    "name": "ChargePayment",
    "subscribes": ["payment.opened"],
    "input": PaymentDue,
    # Longer than all calls to the provider may take together, so that they end with an answer.
    "timeout": 60.0,
    "key": "/orderId",
    "emits": ["order.confirmed", "order.failed", "payment.refund"],
    "retry": {"attempts": _ATTEMPTS, "base": 2.0, "cap": 300.0},
}


async def handler(event: PaymentDue, ctx: Context, *, payments: Payments) -> None:
    """Charge the payment that the order names.

    Whoever ends the order while its card is being charged makes this transaction run again: it
    sees the order as it is then, and the money goes back.
    """
    order = await load(ctx.state, GROUP, event.order_id, Order)
    if order is None or order.payment_id is None or order.payment != "opened":
        return
    if order.status != "charging":
        await ctx.emit("payment.refund", event)
        return
    charged = await _charge(ctx, order.payment_id, payments)
    if charged is None:
        await _give_up(ctx, event, order)
    elif charged.status == "paid":
        await _confirm(ctx, event.order_id, order)
    else:
        await _decline(ctx, event.order_id, order, charged.reason)


async def _charge(ctx: Context, payment_id: str, payments: Payments) -> Charged | None:
    """Charge; None when the last attempt leaves it open whether that worked."""

    async def charge() -> dict[str, str]:
        return msgspec.structs.asdict(await payments.charge(payment_id))

    try:
        return msgspec.convert(await ctx.run("charge payment", charge), Charged)
    except PaymentAway as exc:
        if ctx.attempt >= _ATTEMPTS:
            return None
        if exc.retry_after_s is not None:
            raise RetryAfter(exc.retry_after_s, str(exc)) from exc
        raise


async def _confirm(ctx: Context, order_id: str, order: Order) -> None:
    used = await use_stock(ctx, order)
    confirmed = msgspec.structs.replace(used, status="confirmed", payment="paid")
    await save(ctx.state, GROUP, order_id, confirmed)
    await ctx.emit("order.confirmed", OrderConfirmed(order_id, order.customer_id))


async def _decline(ctx: Context, order_id: str, order: Order, reason: str) -> None:
    history = await load_history(ctx, order.customer_id)
    now_ms = round(ctx.now().timestamp() * 1000)
    remembered = fraud.with_decline(history, now_ms=now_ms)
    await save(ctx.state, fraud.GROUP, order.customer_id, remembered)
    declined = msgspec.structs.replace(order, payment="declined")
    await fail(ctx, order_id, declined, reason)


async def _give_up(ctx: Context, event: PaymentDue, order: Order) -> None:
    """End the order; money that was taken all the same goes back as soon as that is known."""
    unknown = msgspec.structs.replace(order, payment="unknown")
    await fail(ctx, event.order_id, unknown, "payment_unavailable")
    await ctx.emit("payment.refund", event)
