"""Ends a search that has found nobody in five minutes, and tells the player."""

from modules.gaming import queue
from modules.gaming.tickets import Ticket
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "ExpireTicket",
    "description": "Ends a search that found nobody, and tells the player so",
    "flows": ["gaming"],
    "subscribes": ["matchmaking.lapsing"],
    "input": Ticket,
    "emits": ["matchmaking.expired"],
}


async def handler(lapsing: Ticket, ctx: Context) -> None:
    """Drop the ticket if it still waits; one that was matched, moved or cancelled is gone."""
    ticket = await queue.get(ctx.state, lapsing.id)
    if ticket is None:
        return
    await queue.drop(ctx.state, ticket)
    over = {
        "requestId": ticket.id,
        "playerId": ticket.player_id,
        "gameMode": ticket.game_mode,
        "region": ticket.region,
    }
    await ctx.emit("matchmaking.expired", over)
    await queue.tell(ctx, ticket.player_id, {"status": "expired", **over})
