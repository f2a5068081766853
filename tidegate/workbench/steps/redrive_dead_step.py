"""POST /api/v1/steps/dead/:id/redrive: try a dead event again, with all its attempts."""

from typing import Any

from tidegate import Context, HTTPError
from tidegate.engine.engine import Engine
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "RedriveDeadEvent",
    "description": "Make a dead event due again.",
    "method": "POST",
    "path": "/api/v1/steps/dead/:id/redrive",
    "middleware": ["adminMiddleware"],
    "emits": [],
}
_MOST_DIGITS = 18


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Redrive one event; no such dead event is 404."""
    dead_id = request.path_params["id"]
    # No id has more digits than the largest of SQLite.
    if not (dead_id.isascii() and dead_id.isdecimal()) or len(dead_id) > _MOST_DIGITS:
        raise HTTPError(404, "no such dead event")
    if not await engine.redrive([int(dead_id)]):
        raise HTTPError(404, "no such dead event")
    return {"status": 202, "body": {"id": int(dead_id)}}
