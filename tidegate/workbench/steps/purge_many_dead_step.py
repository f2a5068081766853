"""POST /api/v1/steps/dead/purge: forget several dead events, or all."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import CHOICE, nothing_there

config = {
    "type": "api",
    "name": "PurgeDeadEvents",
    "description": "Forget events that were given up.",
    "method": "POST",
    "path": "/api/v1/steps/dead/purge",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "bodySchema": CHOICE,
}


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return how many there were of those that are named; none is 404."""
    purged = await engine.store.purge_dead(request.body.get("ids"))
    if not purged:
        raise nothing_there()
    return {"status": 200, "body": {"purged": purged}}
