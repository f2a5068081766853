"""POST /api/v1/steps/dead/:id/redrive: try a dead event again, with all its attempts."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import id_of, nothing_there

config = {
    "type": "api",
    "name": "RedriveDeadEvent",
    "description": "Make a dead event due again.",
    "method": "POST",
    "path": "/api/v1/steps/dead/:id/redrive",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Redrive one event; no such dead event is 404."""
    dead_id = id_of(request.path_params["id"])
    if not await engine.redrive([dead_id]):
        raise nothing_there()
    return {"status": 202, "body": {"id": dead_id}}
