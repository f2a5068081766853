"""What several steps do with an order: reserve, release and use its stock; let it fail.

All of it happens in the caller's transaction: with its commit, or not at all.
"""

import msgspec

from modules.commerce import fraud, inventory
from modules.commerce.events import OrderFailed
from modules.commerce.orders import GROUP, REASONS, Order
from modules.commerce.products import GROUP as PRODUCTS
from modules.commerce.products import Product
from modules.commerce.records import load, load_product, save
from tidegate.contract import Context


async def reserve_stock(ctx: Context, order: Order, *, reservation_id: str) -> Order:
    """Reserve what an order needs.

    Raises:
        OutOfStock: too little of a product is free; nothing is reserved.
    """
    needed = inventory.needs(order.items)
    await _put(ctx, inventory.reserve(await _shelf(ctx, needed), needed))
    return msgspec.structs.replace(order, reservation_id=reservation_id, reservation="held")


async def release_stock(ctx: Context, order: Order) -> Order:
    """Give an order's reservation back; one that is not held is left alone."""
    if order.reservation != "held":
        return order
    needed = inventory.needs(order.items)
    await _put(ctx, inventory.release(await _shelf(ctx, needed), needed))
    return msgspec.structs.replace(order, reservation="released")


async def use_stock(ctx: Context, order: Order) -> Order:
    """Take an order's reservation off the shelf; one that is not held is left alone."""
    if order.reservation != "held":
        return order
    needed = inventory.needs(order.items)
    await _put(ctx, inventory.use(await _shelf(ctx, needed), needed))
    return msgspec.structs.replace(order, reservation="used")


async def fail(ctx: Context, order_id: str, order: Order, reason: str) -> None:
    """Let an order fail for one of `orders.REASONS`: release its stock and tell everybody."""
    released = await release_stock(ctx, order)
    failed = msgspec.structs.replace(released, status="failed", failure=reason)
    await save(ctx.state, GROUP, order_id, failed)
    told = OrderFailed(order_id, reason, REASONS[reason], order.customer_id)
    await ctx.emit("order.failed", told)
    ctx.logger.info("order.failed", order=order_id, reason=reason)


async def load_history(ctx: Context, customer_id: str) -> fraud.History:
    """Return what is remembered of a customer."""
    return await load(ctx.state, fraud.GROUP, customer_id, fraud.History) or fraud.History()


async def _shelf(ctx: Context, needed: dict[str, int]) -> dict[str, Product | None]:
    return {product_id: await load_product(ctx, product_id) for product_id in needed}


async def _put(ctx: Context, products: dict[str, Product]) -> None:
    for product_id, product in products.items():
        await save(ctx.state, PRODUCTS, product_id, product)
