"""GET /api/v1/steps/dead: events that were given up, with their errors."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.workbench.dead_ids import shown

config = {
    "type": "api",
    "name": "ListDeadEvents",
    "description": "List events that were given up.",
    "method": "GET",
    "path": "/api/v1/steps/dead",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "cursor": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        },
    },
}
_DEFAULT_LIMIT = 100


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return one page of dead events; `next_cursor` is None on the last."""
    limit = request.query_params.get("limit", _DEFAULT_LIMIT)
    after = request.query_params.get("cursor", 0)
    dead = await engine.store.dead(limit=limit, after_id=after)
    cursor = dead[-1].id if len(dead) == limit else None
    body = {"dead": [shown(letter) for letter in dead], "next_cursor": cursor}
    return {"status": 200, "body": body}
