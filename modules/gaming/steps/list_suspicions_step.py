"""Shows what anti-cheat has reported about a player."""

from typing import Any

from modules.gaming import suspicions
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListSuspicions",
    "description": "Returns what anti-cheat reported about a player, with its evidence",
    "flows": ["gaming"],
    "method": "GET",
    "path": "/players/:playerId/suspicions",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Answer with the reports, oldest first; none is an empty list."""
    player_id = req.path_params["playerId"]
    return {"status": 200, "body": {"reports": await suspicions.cases_of(ctx.state, player_id)}}
