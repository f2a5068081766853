"""Asks who is there."""

from typing import Any

from cloud.dashboard.needs import PageRequest
from cloud.dashboard.origin import safe_next
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context

config = {"type": "api", "name": "ShowLogin", "method": "GET", "path": "/login", "emits": []}


async def handler(req: PageRequest, ctx: Context, *, settings: Settings) -> dict[str, Any]:
    """Return the login page; `next` is the path to go to afterwards."""
    frame = frame_of(settings, ctx.now())
    target = safe_next(req.query_params.get("next"))
    return page("login.html", frame, here="", next=target, username="", error="")
