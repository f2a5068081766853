"""Puts a player into the matchmaking queue: one ticket, however often he asks."""

from typing import Any

from modules.gaming import queue, sessions
from modules.gaming.modes import MODES
from modules.gaming.tickets import LIFETIME_S, Ticket, is_over, pool_of, range_at
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "FindMatch",
    "description": "Looks for a match; the player hears of it on the stream player:{id}",
    "flows": ["gaming"],
    "method": "POST",
    "path": "/matchmaking/find",
    "middleware": ["authMiddleware"],
    "bodySchema": {
        "type": "object",
        "required": ["gameMode", "region"],
        "properties": {
            "gameMode": {"enum": list(MODES)},
            "region": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"},
        },
        "additionalProperties": False,
    },
    "emits": ["matchmaking.searching", "matchmaking.lapsing", "match.found"],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Answer 202 with the player's one ticket; 409 while he is in a game."""
    player_id = req.user["userId"]
    session_id = await sessions.of_player(ctx.state, player_id)
    if session_id is not None:
        return _busy(session_id)
    pool = pool_of(req.body["gameMode"], req.body["region"])
    ticket = await queue.of_player(ctx.state, player_id)
    if ticket is None or ticket.pool != pool or is_over(ticket, queue.now_ms(ctx)):
        ticket = await _queued(ctx, player_id, ticket, req.body)
    return await _accepted(ctx, ticket)


async def _queued(
    ctx: Context, player_id: str, former: Ticket | None, body: dict[str, Any]
) -> Ticket:
    """Open a ticket, in place of a former one in another pool."""
    if former is not None:
        await queue.drop(ctx.state, former)
    ticket = await queue.open_ticket(
        ctx, player_id, game_mode=body["gameMode"], region=body["region"]
    )
    await ctx.emit("matchmaking.searching", queue.plain(ticket))
    await ctx.emit("matchmaking.lapsing", queue.plain(ticket), delay=LIFETIME_S)
    news = {"status": "searching", "requestId": ticket.id, "gameMode": ticket.game_mode}
    await queue.tell(ctx, player_id, {**news, "region": ticket.region})
    return ticket


async def _accepted(ctx: Context, ticket: Ticket) -> dict[str, Any]:
    known = await queue.waits(ctx.state, ticket.pool)
    body = {
        "requestId": ticket.id,
        "message": "Searching for match...",
        "searchRange": range_at(ticket, queue.now_ms(ctx)),
        # Seconds; null until enough searches of this mode and region have ended.
        "estimatedTime": known.estimate_s(),
    }
    return {"status": 202, "body": body}


def _busy(session_id: str) -> dict[str, Any]:
    body = {"message": "You are in a game: play on, or surrender", "sessionId": session_id}
    return {"status": 409, "body": body}
