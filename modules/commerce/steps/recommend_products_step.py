"""Recommend to a user what people of the same taste like."""

import msgspec

from modules.commerce import interactions
from modules.commerce.events import Recommendation, RecommendationsUpdated, UserInteraction
from modules.commerce.interactions import GROUP, ItemRecord, UserRecord
from modules.commerce.records import load
from modules.commerce.similarity import Vector, recommend
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "RecommendProducts",
    "subscribes": ["user.viewed.product", "user.purchased.product"],
    "input": UserInteraction,
    "key": "/userId",
    "emits": ["recommendations.updated"],
}


async def handler(event: UserInteraction, ctx: Context) -> None:
    """Note the interaction; from three products on, recommend.

    Reads at most 30 products and 50 users, writes two records and the recommendations.
    """
    mine = await _note(event, ctx)
    if len(mine.weights) < interactions.MIN_PRODUCTS:
        return
    others = await _alike(event.user_id, mine, ctx)
    scored = recommend(mine.weights, others, limit=interactions.KEPT, known=frozenset(mine.bought))
    products = tuple(Recommendation(*entry) for entry in scored)
    kept = {"products": msgspec.to_builtins(products), "updatedAt": ctx.now().isoformat()}
    await ctx.state.set(interactions.RECOMMENDATIONS, event.user_id, kept)
    best = RecommendationsUpdated(event.user_id, products[: interactions.TOLD])
    await ctx.emit("recommendations.updated", best)


async def _note(event: UserInteraction, ctx: Context) -> UserRecord:
    """Write the interaction into the user's record and the product's."""
    user_id, product_id = event.user_id, event.product_id
    user = await load(ctx.state, GROUP, f"user:{user_id}", UserRecord) or UserRecord()
    user = interactions.with_user(user, product_id, event.action)
    item = await load(ctx.state, GROUP, f"item:{product_id}", ItemRecord) or ItemRecord()
    item = interactions.with_item(item, user_id, user.weights[product_id])
    await ctx.state.set(GROUP, f"user:{user_id}", msgspec.to_builtins(user))
    await ctx.state.set(GROUP, f"item:{product_id}", msgspec.to_builtins(item))
    return user


async def _alike(user_id: str, mine: UserRecord, ctx: Context) -> dict[str, Vector]:
    """Return the weights of the users who share most with this one."""
    items: dict[str, ItemRecord] = {}
    for product_id in interactions.recent(mine):
        item = await load(ctx.state, GROUP, f"item:{product_id}", ItemRecord)
        items[product_id] = item or ItemRecord()
    others: dict[str, Vector] = {}
    for other in interactions.candidates(user_id, mine, items):
        record = await load(ctx.state, GROUP, f"user:{other}", UserRecord)
        if record is not None:
            others[other] = record.weights
    return others
