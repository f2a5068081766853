"""Posts one notice to one webhook."""

from cloud.alerts import deliveries
from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.errors import Rejected
from cloud.alerts.targets import webhook_notifier
from cloud.settings import Settings
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "DeliverWebhook",
    "description": "Posts a notice to a webhook, signed after Standard Webhooks",
    "flows": ["alerts"],
    "subscribes": ["delivery.requested.webhook"],
    "emits": [],
    "input": DeliveryRequested,
    "retry": deliveries.RETRY,
    "timeout": deliveries.TIMEOUT_S,
}


async def handler(asked: DeliveryRequested, ctx: Context, *, settings: Settings) -> None:
    """Try once to deliver."""
    try:
        notifier = webhook_notifier(settings, asked.target_id)
    except Rejected as exc:
        await deliveries.give_up(ctx, asked, str(exc))
        return
    await deliveries.attempt(ctx, asked, notifier)
