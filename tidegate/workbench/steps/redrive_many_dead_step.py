"""POST /api/v1/steps/dead/redrive: try several dead events again, or all."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import CHOICE, nothing_there

config = {
    "type": "api",
    "name": "RedriveDeadEvents",
    "description": "Make dead events due again.",
    "method": "POST",
    "path": "/api/v1/steps/dead/redrive",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "bodySchema": CHOICE,
}


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return how many there were of those that are named; none is 404."""
    redriven = await engine.redrive(request.body.get("ids"))
    if not redriven:
        raise nothing_there()
    return {"status": 202, "body": {"redriven": redriven}}
