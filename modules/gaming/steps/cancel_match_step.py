"""Takes a player out of the matchmaking queue."""

from typing import Any

from modules.gaming import queue
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "CancelMatch",
    "description": "Ends the player's search for a match",
    "flows": ["gaming"],
    "method": "DELETE",
    "path": "/matchmaking/find",
    "middleware": ["authMiddleware"],
    "emits": [],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Answer 200 with the ticket that is no more; 404 when there is none."""
    player_id = req.user["userId"]
    ticket = await queue.of_player(ctx.state, player_id)
    if ticket is None:
        raise HTTPError(404, "you are not searching for a match")
    await queue.drop(ctx.state, ticket)
    await queue.tell(ctx, player_id, {"status": "cancelled", "requestId": ticket.id})
    return {"status": 200, "body": {"requestId": ticket.id, "message": "Search ended"}}
