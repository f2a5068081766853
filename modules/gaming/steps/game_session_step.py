"""A player's WebSocket to his game: his views go out, his inputs come in."""

from typing import Any

import msgspec

from modules.gaming import play
from modules.gaming.frames import Reply
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "GameSession",
    "description": "Plays a game over a WebSocket; each player gets what he may see",
    "flows": ["gaming"],
    "method": "GET",
    "path": "/game/:sessionId/ws",
    "middleware": ["authMiddleware"],
    "websocket": True,
    "emits": ["player.input.recorded", "game.turn.due", "game.ended", "game.forgetting"],
}


async def handler(req: Request, ctx: Context) -> None:
    """Connect a player of the session; who is none gets 1008, whether there is a session or not.

    Each message is a transaction of its own; so are the joining and the leaving.
    """
    ws, session_id = req.ws, req.path_params["sessionId"]
    seat = play.new_seat(session_id, req.user["userId"])
    group = await play.view_group(ctx, session_id, seat.player_id)
    if group is None:
        await ws.close(*play.NO_MEMBER)
        return

    async def on_change(change: dict[str, Any]) -> None:
        await _deliver(ws, play.news(change, seat, group))

    async def on_message(message: str | bytes) -> None:
        await _deliver(ws, await play.receive(ctx, seat, message))

    async def on_close(*_: object) -> None:
        unsubscribe()
        await play.leave(ctx, seat)

    # First followed, then read: what changes in between is seen twice, and nothing is missed.
    unsubscribe: Any = ctx.streams[f"game:{session_id}"].subscribe(on_change)
    ws.on("message", on_message)
    ws.on("close", on_close)
    await _deliver(ws, await play.join(ctx, seat, group))


async def _deliver(ws: Any, reply: Reply) -> None:
    for frame in reply.frames:
        await ws.send(msgspec.json.encode(frame).decode())
    if reply.close is not None:
        await ws.close(*reply.close)
