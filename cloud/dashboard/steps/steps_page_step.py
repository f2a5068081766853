"""Every step that runs: what begins it, what it begins, what waits, what became of it."""

from typing import Any

from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.dashboard.step_desk import StepDesk
from cloud.dashboard.steps_view import sections, strangers
from cloud.settings import Settings
from tidegate.contract import Context
from tidegate.errors import StoreAway

config = {
    "type": "api",
    "name": "ShowSteps",
    "method": "GET",
    "path": "/steps",
    "middleware": ["pageMiddleware"],
    "emits": [],
}


async def handler(
    _req: PageRequest, ctx: Context, *, step_desk: StepDesk, settings: Settings
) -> dict[str, Any]:
    """Return the page of all steps; 503 when the store does not answer."""
    frame = frame_of(settings, ctx.now())
    try:
        steps, dead = await step_desk.steps(), await step_desk.dead_counts()
    except StoreAway:
        return page("steps.html", frame, status=503, here="/steps", store_away=True)
    return page(
        "steps.html",
        frame,
        here="/steps",
        store_away=False,
        sections=sections(steps, dead),
        strangers=strangers(steps, dead),
        waiting=sum(step.waiting for step in steps),
        dead=sum(dead.values()),
        total=len(steps),
    )
