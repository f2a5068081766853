"""Makes a condition of each detected anomaly that a rule watches."""

import msgspec

from cloud.alerts import anomalies, changes
from cloud.alerts.rules import Rules
from tidegate.contract import Context
from wire.events import AnomalyDetected

config = {
    "type": "event",
    "name": "OpenAnomalyAlert",
    "description": "Begins the condition of every anomaly rule that covers the series",
    "flows": ["alerts"],
    "subscribes": ["anomaly.detected"],
    "emits": ["alert.condition.changed"],
    "input": AnomalyDetected,
}


async def handler(found: AnomalyDetected, ctx: Context, *, rules: Rules) -> None:
    """Begin the conditions that do not hold yet; prolong those that do."""
    seen_at_ms = round(ctx.now().timestamp() * 1000)
    for rule in rules.anomalies:
        if not rule.scope.covers(found.tenant, found.device, found.metric):
            continue
        key = anomalies.key(rule, found)
        kept = await ctx.state.get(anomalies.GROUP, key)
        before = None if kept is None else msgspec.convert(kept, anomalies.Restless)
        after = anomalies.prolonged(before, rule, found, seen_at_ms=seen_at_ms)
        await ctx.state.set(anomalies.GROUP, key, msgspec.to_builtins(after))
        if before is None:
            await changes.tell(ctx, anomalies.began(rule, found))
