"""One event that was given up, with all that is known of it."""

from typing import Any

from cloud.dashboard.dead_form import id_of
from cloud.dashboard.dead_view import ALONE, dead_row
from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.dashboard.step_desk import StepDesk
from cloud.settings import Settings
from tidegate.contract import Context
from tidegate.errors import StoreAway

config = {
    "type": "api",
    "name": "DeadEventPage",
    "method": "GET",
    "path": "/steps/dead/:id",
    "middleware": ["pageMiddleware"],
    "emits": [],
}


async def handler(
    req: PageRequest, ctx: Context, *, step_desk: StepDesk, settings: Settings
) -> dict[str, Any]:
    """Return the page of one dead event; 404 when there is none, 503 without the store."""
    frame, dead_id = frame_of(settings, ctx.now()), id_of(req.path_params["id"])
    try:
        found = None if dead_id is None else await step_desk.dead_event(dead_id)
    except StoreAway:
        return page("dead_event.html", frame, status=503, here="/steps", store_away=True, row=None)
    row = None if found is None else dead_row(found, ALONE)
    status = 404 if row is None else 200
    return page("dead_event.html", frame, status=status, here="/steps", store_away=False, row=row)
