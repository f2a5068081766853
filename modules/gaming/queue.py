"""The matchmaking queue in the step state: one ticket per player, by id and by player."""

import uuid
from collections.abc import Mapping
from glob import escape
from typing import Any

import msgspec

from modules.gaming.modes import GameMode
from modules.gaming.ratings import rating_of
from modules.gaming.tickets import FIRST_RANGE, Ticket, pool_of
from modules.gaming.waits import Waits
from tidegate.contract import Context, State

QUEUE = "matchmaking_queue"
BY_PLAYER = "matchmaking_players"
WAITS = "matchmaking_waits"
STATS = "player_stats"


def now_ms(ctx: Context) -> int:
    """Return the runtime's clock in Unix ms."""
    return round(ctx.now().timestamp() * 1000)


async def get(state: State, ticket_id: str) -> Ticket | None:
    """Return a ticket that still waits, or None."""
    kept = await state.get(QUEUE, ticket_id)
    return None if kept is None else msgspec.convert(kept, Ticket)


async def of_player(state: State, player_id: str) -> Ticket | None:
    """Return the player's one ticket, or None."""
    ticket_id = await state.get(BY_PLAYER, player_id)
    return None if ticket_id is None else await get(state, ticket_id)


async def open_ticket(ctx: Context, player_id: str, *, game_mode: GameMode, region: str) -> Ticket:
    """Put a player into the queue; whoever calls has dropped the ticket before."""
    pool = pool_of(game_mode, region)
    ticket = Ticket(
        id=f"{pool}:{uuid.uuid4().hex}",
        player_id=player_id,
        game_mode=game_mode,
        region=region,
        skill_rating=rating_of(await ctx.state.get(STATS, player_id)),
        search_range=FIRST_RANGE,
        created_at=now_ms(ctx),
    )
    # No ttl: it would make the ticket vanish without a word. `ExpireTicket` ends it, and says so.
    await ctx.state.set(QUEUE, ticket.id, plain(ticket))
    await ctx.state.set(BY_PLAYER, player_id, ticket.id)
    return ticket


async def drop(state: State, ticket: Ticket) -> None:
    """Take a ticket out of the queue."""
    await state.delete(QUEUE, ticket.id)
    await state.delete(BY_PLAYER, ticket.player_id)


async def in_pool(state: State, pool: str) -> list[Ticket]:
    """Return the tickets that can be matched with each other, in order of their ids."""
    kept = await state.get_pattern(QUEUE, f"{escape(pool)}:*")
    return msgspec.convert(kept, list[Ticket])


async def waits(state: State, pool: str) -> Waits:
    """Return how long the pool's last searches took."""
    kept = await state.get(WAITS, pool)
    return Waits() if kept is None else msgspec.convert(kept, Waits)


async def note_waits(state: State, pool: str, seconds: list[float]) -> None:
    """Remember how long some searches took."""
    known = (await waits(state, pool)).with_waits(seconds)
    await state.set(WAITS, pool, plain(known))


async def tell(ctx: Context, player_id: str, news: Mapping[str, Any]) -> None:
    """Tell a player how the search stands, on the stream `player:{id}`, where it stays readable."""
    await ctx.streams[f"player:{player_id}"].set("matchmaking", "current", dict(news))


def plain(struct: msgspec.Struct) -> dict[str, Any]:
    """Return a Struct as a dict with the names that travel."""
    made: dict[str, Any] = msgspec.to_builtins(struct)
    return made
