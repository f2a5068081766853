"""Ends alerts that no rule watches any more: its rule was removed, renamed or narrowed."""

from cloud.alerts import changes, register
from cloud.alerts.rules import Rules
from tidegate.contract import Context
from wire.events import AlertNotice, ConditionChanged

config = {
    "type": "cron",
    "name": "CloseOrphanedAlerts",
    "description": "Resolves firing alerts whose rule is gone from the settings",
    "flows": ["alerts"],
    "cron": "@every 1m",
    "emits": ["alert.condition.changed"],
}


async def handler(ctx: Context, *, rules: Rules) -> None:
    """End the condition of every firing alert that nothing else could end."""
    now_ms = round(ctx.now().timestamp() * 1000)
    for alert in await register.open_alerts(ctx.state):
        if not rules.still_watch(alert):
            await changes.tell(ctx, _ended(alert, now_ms))


def _ended(alert: AlertNotice, now_ms: int) -> ConditionChanged:
    return ConditionChanged(
        rule=alert.rule,
        tenant=alert.tenant,
        device=alert.device,
        metric=alert.metric,
        holds=False,
        severity=alert.severity,
        summary=f"no rule '{alert.rule}' watches this any more",
        at_ms=now_ms,
    )
