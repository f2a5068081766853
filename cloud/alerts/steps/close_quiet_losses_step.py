"""Ends the conditions of losses that have not gone on for a rule's quiet time."""

import msgspec

from cloud.alerts import changes, losses
from cloud.alerts.rules import Rules
from tidegate.contract import Context

config = {
    "type": "cron",
    "name": "CloseQuietLosses",
    "description": "Ends loss conditions after quiet_s without another loss",
    "flows": ["alerts"],
    "cron": "@every 30s",
    "emits": ["alert.condition.changed"],
}


async def handler(ctx: Context, *, rules: Rules) -> None:
    """End what has been quiet for long enough; forget what no rule watches any more."""
    now_ms = round(ctx.now().timestamp() * 1000)
    rule_of_name = {rule.name: rule for rule in rules.losses}
    for kept in await ctx.state.get_group(losses.GROUP):
        loss = msgspec.convert(kept, losses.Loss)
        rule = rule_of_name.get(loss.rule)
        if rule is not None:
            if not losses.is_quiet(rule, loss, now_ms=now_ms):
                continue
            await changes.tell(ctx, losses.ended(rule, loss))
        # The alert of what no rule watches is ended by CloseOrphanedAlerts.
        await ctx.state.delete(losses.GROUP, loss.key)
