"""Turns changed conditions into alerts that fire once and resolve once."""

from cloud.alerts import changes, lifecycle, register
from tidegate.contract import Context
from wire.events import ConditionChanged

config = {
    "type": "event",
    "name": "TrackAlert",
    "description": "Keeps the state of every alert and tells of each beginning and end once",
    "flows": ["alerts"],
    "subscribes": ["alert.condition.changed"],
    "emits": ["alert.fired", "alert.resolved"],
    "input": ConditionChanged,
    # One at a time keeps the order; what a failure has put out of order is known by its number.
    "concurrency": 1,
}


async def handler(change: ConditionChanged, ctx: Context) -> None:
    """Advance the alert that the change is about, unless a later change came first."""
    if await changes.is_overtaken(ctx.state, change):
        return
    current = await register.find(ctx.state, lifecycle.alert_id_of(change))
    alert = lifecycle.advance(current, change)
    if alert is None:
        return
    await register.keep(ctx.state, alert)
    topic = "alert.fired" if alert.status == "firing" else "alert.resolved"
    await ctx.emit(topic, alert)
    ctx.logger.info(topic, alert_id=alert.alert_id, rule=alert.rule, device=alert.device)
