"""Takes the buttons that try dead events again or delete them: asks first, then does it."""

from typing import Any

from cloud.dashboard.dead_form import FormError, Wanted, form_fields, list_path, read_dead_form
from cloud.dashboard.dead_view import dead_row
from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page, redirect
from cloud.dashboard.step_desk import DeadEvent, StepDesk
from cloud.settings import Settings
from tidegate.contract import Context
from tidegate.errors import StoreAway

config = {
    "type": "api",
    "name": "ChangeDeadEventsByForm",
    "method": "POST",
    "path": "/steps/dead",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_NAMED = 10


async def handler(
    req: PageRequest, ctx: Context, *, step_desk: StepDesk, settings: Settings
) -> dict[str, Any]:
    """Ask whether the person is sure; when sure, do it and go back to the list, which tells how."""
    fields = req.body if isinstance(req.body, dict) else {}
    try:
        wanted = read_dead_form(fields)
    except FormError:
        return redirect(list_path(str(fields.get("step", ""))[:200], done="nothing"))
    try:
        if wanted.is_sure:
            return redirect(await _done(step_desk, wanted))
        count, named = await _affected(step_desk, wanted)
    except StoreAway:
        return redirect(list_path(wanted.step, done="away"))
    if count == 0:
        return redirect(list_path(wanted.step, done="nothing"))
    return page(
        "confirm_dead.html",
        frame_of(settings, ctx.now()),
        here="/steps",
        wanted=wanted,
        count=count,
        named=[dead_row(one) for one in named],
        fields=form_fields(wanted),
        back=list_path(wanted.step),
    )


async def _done(desk: StepDesk, wanted: Wanted) -> str:
    """Do it; returns the path of the list that says how many were there."""
    ids = await desk.dead_ids(wanted.step) if wanted.ids is None else wanted.ids
    if wanted.action == "redrive":
        word, count = "redriven", await desk.redrive(ids)
    else:
        word, count = "deleted", await desk.purge(ids)
    return list_path(wanted.step, done=word, count=count, gone=len(ids) - count)


async def _affected(desk: StepDesk, wanted: Wanted) -> tuple[int, list[DeadEvent]]:
    """Return how many events are meant, and the newest of them."""
    if wanted.ids is None:
        newest = await desk.dead(limit=_NAMED, step=wanted.step)
        return (await desk.dead_counts()).get(wanted.step, 0), list(newest)
    named: list[DeadEvent] = []
    for dead_id in wanted.ids[:_NAMED]:
        named += [one for one in await desk.dead(limit=1, before=dead_id + 1) if one.id == dead_id]
    return len(wanted.ids), named
