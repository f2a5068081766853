"""Mails one notice to one recipient, or keeps the mail when there is no mail server."""

from pathlib import Path

from cloud.alerts import deliveries
from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.errors import Rejected
from cloud.alerts.targets import email_notifier
from cloud.settings import Settings
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "DeliverEmail",
    "description": "Mails a notice; without [smtp] host the mail is kept in the outbox folder",
    "flows": ["alerts"],
    "subscribes": ["delivery.requested.email"],
    "emits": [],
    "input": DeliveryRequested,
    "retry": deliveries.RETRY,
    "timeout": deliveries.TIMEOUT_S,
}


async def handler(
    asked: DeliveryRequested, ctx: Context, *, settings: Settings, data_dir: Path
) -> None:
    """Try once to deliver."""
    try:
        notifier = email_notifier(settings, asked.target_id, data_dir=data_dir)
    except Rejected as exc:
        await deliveries.give_up(ctx, asked, str(exc))
        return
    await deliveries.attempt(ctx, asked, notifier)
