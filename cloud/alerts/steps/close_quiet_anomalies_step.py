"""Ends the conditions of series that have shown no anomaly for a rule's quiet time."""

import msgspec

from cloud.alerts import anomalies
from cloud.alerts.rules import typed_rules
from cloud.settings import Settings
from tidegate.contract import Context

config = {
    "type": "cron",
    "name": "CloseQuietAnomalies",
    "description": "Ends anomaly conditions after quiet_s without another anomaly",
    "flows": ["alerts"],
    "cron": "@every 10s",
    "emits": ["alert.condition.changed"],
}


async def handler(ctx: Context, *, settings: Settings) -> None:
    """End what has been quiet for long enough, and what no rule watches any more."""
    now_ms = round(ctx.now().timestamp() * 1000)
    rules = {rule.name: rule for rule in typed_rules(settings.alerts.rules).anomalies}
    for kept in await ctx.state.get_group(anomalies.GROUP):
        restless = msgspec.convert(kept, anomalies.Restless)
        rule = rules.get(restless.rule)
        if rule is not None and anomalies.watches(rule, restless):
            if not anomalies.is_quiet(rule, restless, now_ms=now_ms):
                continue
            await ctx.emit("alert.condition.changed", anomalies.ended(rule, restless))
        # The alert of what no rule watches is ended by CloseOrphanedAlerts.
        await ctx.state.delete(anomalies.GROUP, restless.key)
