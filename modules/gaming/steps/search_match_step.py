"""Looks for opponents of one ticket; what finds none looks again, wider, five seconds later."""

from msgspec.structs import replace

from modules.gaming import queue, sessions
from modules.gaming.matching import Teams, form_match
from modules.gaming.tickets import WIDENS_EVERY_S, Ticket, is_over, range_at, waited_s
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "SearchMatch",
    "description": "Forms a match around a ticket, or searches again in a wider range",
    "flows": ["gaming"],
    "subscribes": ["matchmaking.searching"],
    "input": Ticket,
    "emits": ["matchmaking.searching", "match.found", "game.turn.due"],
    "concurrency": 4,
}


async def handler(asked: Ticket, ctx: Context) -> None:
    """Match the ticket in one transaction: no ticket is in two matches, none gets lost."""
    now = queue.now_ms(ctx)
    ticket = await queue.get(ctx.state, asked.id)
    if ticket is None or is_over(ticket, now):
        return
    teams = form_match(ticket, await queue.in_pool(ctx.state, ticket.pool), now)
    if teams is None:
        again = now + round(WIDENS_EVERY_S * 1000)
        wider = replace(ticket, search_range=range_at(ticket, again))
        await ctx.emit("matchmaking.searching", queue.plain(wider), delay=WIDENS_EVERY_S)
        return
    await _begin(ctx, ticket, teams, now)


async def _begin(ctx: Context, anchor: Ticket, teams: Teams, now_ms: int) -> None:
    tickets = [ticket for team in teams for ticket in team]
    for ticket in tickets:
        await queue.drop(ctx.state, ticket)
    session = await sessions.begin(
        ctx,
        [[ticket.player_id for ticket in team] for team in teams],
        game_mode=anchor.game_mode,
        region=anchor.region,
    )
    found = {
        "sessionId": session.id,
        "gameMode": session.game_mode,
        "region": session.region,
        "players": list(session.players),
        "teams": [list(team) for team in session.teams],
    }
    waits = [round(waited_s(ticket, now_ms), 3) for ticket in tickets]
    await ctx.emit("match.found", {**found, "waitsS": waits})
    for player in session.players:
        await queue.tell(ctx, player, {"status": "found", **found})
