"""Makes a condition of each loss of messages that the ingest service learned of."""

import msgspec

from cloud.alerts import changes, losses
from cloud.alerts.rules import Rules
from tidegate.contract import Context
from wire.events import DataLost

config = {
    "type": "event",
    "name": "OpenLossAlert",
    "description": "Begins the condition of every loss rule when a broker has lost messages",
    "flows": ["alerts"],
    "subscribes": ["data.lost"],
    "emits": ["alert.condition.changed"],
    "input": DataLost,
}


async def handler(found: DataLost, ctx: Context, *, rules: Rules) -> None:
    """Begin the conditions that do not hold yet; prolong those that do."""
    seen_at_ms = round(ctx.now().timestamp() * 1000)
    for rule in rules.losses:
        key = losses.key(rule, found)
        kept = await ctx.state.get(losses.GROUP, key)
        before = None if kept is None else msgspec.convert(kept, losses.Loss)
        after = losses.prolonged(before, rule, found, seen_at_ms=seen_at_ms)
        await ctx.state.set(losses.GROUP, key, msgspec.to_builtins(after))
        if before is None:
            await changes.tell(ctx, losses.began(rule, found))
