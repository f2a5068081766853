"""Decide about an order that the fraud check left to a human."""

from typing import Any, Literal

import msgspec

from modules.commerce.events import OrderPlaced
from modules.commerce.orders import GROUP, Order
from modules.commerce.records import load, save
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the human says."""

    verdict: Literal["accept", "reject"]


config = {
    "type": "api",
    "name": "ReviewOrder",
    "method": "POST",
    "path": "/orders/:orderId/review",
    "middleware": ["adminMiddleware"],
    "bodySchema": Decision,
    "emits": ["order.placed"],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Note the verdict and have the order taken up again; only the first verdict counts."""
    order_id = req.path_params["orderId"]
    order = await load(ctx.state, GROUP, order_id, Order)
    if order is None:
        raise HTTPError(404, f"there is no order '{order_id}'")
    if order.status != "review" or order.reviewed is not None:
        raise HTTPError(409, f"order '{order_id}' waits for no review: it is {order.status}")
    decided = msgspec.structs.replace(order, reviewed=req.body.verdict)
    await save(ctx.state, GROUP, order_id, decided)
    await ctx.emit("order.placed", OrderPlaced(order_id))
    ctx.logger.info("order.reviewed", order=order_id, verdict=req.body.verdict)
    return {"status": 202, "body": {"orderId": order_id, "verdict": req.body.verdict}}
