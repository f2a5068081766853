"""GET /api/v1/steps/dead/:id: one event that was given up."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import id_of, nothing_there, shown

config = {
    "type": "api",
    "name": "ShowDeadEvent",
    "description": "Show an event that was given up.",
    "method": "GET",
    "path": "/api/v1/steps/dead/:id",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return it as the list has it; no such dead event is 404."""
    letter = await engine.store.dead_letter(id_of(request.path_params["id"]))
    if letter is None:
        raise nothing_there()
    return {"status": 200, "body": shown(letter)}
