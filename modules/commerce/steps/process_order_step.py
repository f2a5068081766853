"""Take an order up: check it, reserve its stock, have it paid."""

import msgspec

from modules.commerce import fraud
from modules.commerce.errors import OutOfStock
from modules.commerce.events import (
    FraudCheck,
    InventoryReserve,
    OrderConfirmed,
    OrderFailed,
    OrderPlaced,
    PaymentDue,
)
from modules.commerce.fraud import FraudRules, Verdict
from modules.commerce.inventory import needs
from modules.commerce.orders import GROUP, REASONS, Order
from modules.commerce.records import load, save
from modules.commerce.stocking import fail, load_history, reserve_stock, use_stock
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "ProcessOrder",
    "subscribes": ["order.placed"],
    "input": OrderPlaced,
    "key": "/orderId",
    "emits": [
        "inventory.reserve",
        "payment.charge",
        "fraud.check",
        "order.confirmed",
        "order.failed",
    ],
}


async def handler(event: OrderPlaced, ctx: Context, *, fraud_rules: FraudRules) -> None:
    """Check and reserve in one transaction, then ask for the payment; no money moves here.

    An order that was taken up before is left alone, however often its event comes.
    """
    order = await _waiting(ctx, event.order_id)
    if order is None:
        return
    verdict, order = await _judged(ctx, event.order_id, order, fraud_rules)
    if verdict == "reject":
        await fail(ctx, event.order_id, order, "refused")
    elif verdict == "review":
        parked = msgspec.structs.replace(order, status="review")
        await save(ctx.state, GROUP, event.order_id, parked)
        ctx.logger.warning("order.parked", order=event.order_id, reasons=order.fraud_reasons)
    else:
        await _take_up(ctx, event.order_id, order)


async def _waiting(ctx: Context, order_id: str) -> Order | None:
    """Return the order if it is to be taken up; tell of one that is missing or unreadable."""
    try:
        order = await load(ctx.state, GROUP, order_id, Order)
    except msgspec.ValidationError as exc:
        ctx.logger.warning("order.unreadable", order=order_id, reason=str(exc))
        await _refuse_unread(ctx, order_id, "order_invalid")
        return None
    if order is None:
        await _refuse_unread(ctx, order_id, "order_missing")
        return None
    return order if order.is_waiting else None


async def _refuse_unread(ctx: Context, order_id: str, reason: str) -> None:
    """Fail an order of which only the id is known, once."""
    raw = await ctx.state.get(GROUP, order_id)
    if isinstance(raw, dict):
        if raw.get("status") == "failed":
            return
        await ctx.state.set(GROUP, order_id, {**raw, "status": "failed", "failure": reason})
    await ctx.emit("order.failed", OrderFailed(order_id, reason, REASONS[reason]))


async def _judged(
    ctx: Context, order_id: str, order: Order, rules: FraudRules
) -> tuple[Verdict, Order]:
    """Return the verdict: a human's where there is one, else the rules'."""
    if order.reviewed is not None:
        return order.reviewed, order
    history = await load_history(ctx, order.customer_id)
    now_ms = round(ctx.now().timestamp() * 1000)
    found = fraud.assess(order.money, history, rules, now_ms=now_ms)
    remembered = fraud.with_order(history, now_ms=now_ms)
    await save(ctx.state, fraud.GROUP, order.customer_id, remembered)
    check = FraudCheck(
        order_id, order.customer_id, order.total, order.currency, found.verdict, found.reasons
    )
    await ctx.emit("fraud.check", check)
    judged = msgspec.structs.replace(
        order, fraud_verdict=found.verdict, fraud_reasons=found.reasons
    )
    return found.verdict, judged


async def _take_up(ctx: Context, order_id: str, order: Order) -> None:
    key = f"{order_id}/{ctx.idempotency_key}"
    try:
        held = await reserve_stock(ctx, order, reservation_id=key)
    except OutOfStock as exc:
        ctx.logger.info("order.short", order=order_id, product=exc.product_id)
        await fail(ctx, order_id, order, "out_of_stock")
        return
    await ctx.emit("inventory.reserve", InventoryReserve(order_id, key, needs(order.items)))
    if order.total == 0:
        await _confirm_free(ctx, order_id, held)
        return
    # The key is committed before any money moves: whatever is repeated later has the same one.
    charging = msgspec.structs.replace(held, status="charging", payment_key=key)
    await save(ctx.state, GROUP, order_id, charging)
    await ctx.emit("payment.charge", PaymentDue(order_id))


async def _confirm_free(ctx: Context, order_id: str, held: Order) -> None:
    used = await use_stock(ctx, held)
    await save(ctx.state, GROUP, order_id, msgspec.structs.replace(used, status="confirmed"))
    await ctx.emit("order.confirmed", OrderConfirmed(order_id, held.customer_id))
