"""Ends the conditions of series that have shown no anomaly for a rule's quiet time."""

import msgspec

from cloud.alerts import anomalies, changes
from cloud.alerts.rules import Rules
from tidegate.contract import Context

config = {
    "type": "cron",
    "name": "CloseQuietAnomalies",
    "description": "Ends anomaly conditions after quiet_s without another anomaly",
    "flows": ["alerts"],
    "cron": "@every 10s",
    "emits": ["alert.condition.changed"],
}


async def handler(ctx: Context, *, rules: Rules) -> None:
    """End what has been quiet for long enough, and what no rule watches any more."""
    now_ms = round(ctx.now().timestamp() * 1000)
    rule_of_name = {rule.name: rule for rule in rules.anomalies}
    for kept in await ctx.state.get_group(anomalies.GROUP):
        restless = msgspec.convert(kept, anomalies.Restless)
        rule = rule_of_name.get(restless.rule)
        if rule is not None and anomalies.watches(rule, restless):
            if not anomalies.is_quiet(rule, restless, now_ms=now_ms):
                continue
            await changes.tell(ctx, anomalies.ended(rule, restless))
        # The alert of what no rule watches is ended by CloseOrphanedAlerts.
        await ctx.state.delete(anomalies.GROUP, restless.key)
