"""Events that were given up, with the reason and ways to try again or to forget."""

from typing import Any

from cloud.dashboard.dead_form import list_path
from cloud.dashboard.dead_view import dead_row, notice
from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.dashboard.step_desk import StepDesk
from cloud.settings import Settings
from tidegate.contract import Context
from tidegate.errors import StoreAway

_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31}
config = {
    "type": "api",
    "name": "DeadEventsPage",
    "method": "GET",
    "path": "/steps/dead",
    "middleware": ["pageMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            "before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
            "step": {"type": "string", "maxLength": 200},
            "count": _COUNT,
            "gone": _COUNT,
        },
    },
}
_PAGE_SIZE = 25


async def handler(
    req: PageRequest, ctx: Context, *, step_desk: StepDesk, settings: Settings
) -> dict[str, Any]:
    """Return a page of dead events, newest first, of all steps or of one; 503 without the store."""
    frame, asked = frame_of(settings, ctx.now()), req.query_params
    step = asked.get("step", "")
    shown = {"here": "/steps", "step": step, "notice": notice(asked)}
    try:
        found = await step_desk.dead(
            limit=_PAGE_SIZE + 1, before=asked.get("before"), step=step or None
        )
        counts = await step_desk.dead_counts()
    except StoreAway:
        return page("dead_events.html", frame, status=503, store_away=True, **shown)
    rows = [dead_row(one) for one in found[:_PAGE_SIZE]]
    return page(
        "dead_events.html",
        frame,
        store_away=False,
        rows=rows,
        counts=sorted(counts.items()),
        total=counts.get(step, 0) if step else sum(counts.values()),
        is_first="before" not in asked,
        first_path=list_path(step),
        next_path=list_path(step, before=rows[-1].id) if len(found) > _PAGE_SIZE else "",
        **shown,
    )
