"""Fans a notice out: one delivery for each target, so that none can hold up another."""

from cloud.alerts import deliveries
from cloud.alerts.targets import email_targets, webhook_targets
from cloud.settings import Settings
from tidegate.contract import Context
from wire.events import AlertNotice

config = {
    "type": "event",
    "name": "RouteNotice",
    "description": "Requests one delivery for each webhook and each recipient of mails",
    "flows": ["alerts"],
    "subscribes": ["alert.fired", "alert.resolved"],
    "emits": ["delivery.requested.webhook", "delivery.requested.email"],
    "input": AlertNotice,
}


async def handler(notice: AlertNotice, ctx: Context, *, settings: Settings) -> None:
    """Request the deliveries of one notice."""
    for target in webhook_targets(settings):
        await deliveries.request(ctx, notice, "webhook", target)
    for target in email_targets(settings):
        await deliveries.request(ctx, notice, "email", target)
