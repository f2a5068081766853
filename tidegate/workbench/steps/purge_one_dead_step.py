"""DELETE /api/v1/steps/dead/:id: forget a dead event."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import id_of, nothing_there

config = {
    "type": "api",
    "name": "PurgeDeadEvent",
    "description": "Forget an event that was given up.",
    "method": "DELETE",
    "path": "/api/v1/steps/dead/:id",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Forget it, for good; no such dead event is 404."""
    dead_id = id_of(request.path_params["id"])
    if not await engine.store.purge_dead([dead_id]):
        raise nothing_there()
    return {"status": 200, "body": {"id": dead_id}}
