"""Tells the open pages that an alert fired or was resolved."""

from cloud.dashboard.live import LiveHub
from tidegate.contract import Context
from wire.events import AlertNotice

config = {
    "type": "event",
    "name": "AnnounceAlert",
    "subscribes": ["alert.fired", "alert.resolved"],
    "emits": [],
    "input": AlertNotice,
}


async def handler(notice: AlertNotice, _ctx: Context, *, live: LiveHub) -> None:
    """Announce it; a second delivery shows the same message again and changes nothing else."""
    live.announce(notice)
