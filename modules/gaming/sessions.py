"""Game sessions in the step state: begun, played on, ended; `game_states` holds the whole game.

What stands here is hidden from players. On the stream `game:{id}` travels what they may know: in
the group `state` that something changed, and each player's own view in a group that only the
server knows the name of: who may follow streams still cannot follow another's view.
"""

import secrets
import uuid
from collections.abc import Sequence
from random import SystemRandom
from typing import Any

import msgspec

from modules.gaming.duel.game import Game, new_game
from modules.gaming.frames import shown
from modules.gaming.modes import GameMode
from modules.gaming.queue import now_ms, plain
from tidegate.contract import Context, State

SESSIONS = "game_sessions"
GAMES = "game_states"
BY_PLAYER = "player_sessions"
TURN_S = 30.0
KEPT_AFTER_END_S = 24 * 3600.0
# Of the system: who could guess where the others start would need no reconnaissance.
_CHANCE = SystemRandom()


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """A session; times are Unix ms. `winner` is the index of a team, None also for a draw.

    `view_groups` are the secret names of the groups with the players' views.
    """

    id: str
    game_mode: GameMode
    region: str
    players: tuple[str, ...]
    teams: tuple[tuple[str, ...], ...]
    view_groups: dict[str, str]
    created_at: int
    status: str = "active"
    winner: int | None = None


async def begin(
    ctx: Context, teams: Sequence[Sequence[str]], *, game_mode: GameMode, region: str
) -> Session:
    """Begin a session: its players are in a game from the same commit on."""
    players = tuple(player for team in teams for player in team)
    session = Session(
        id=uuid.uuid4().hex,
        game_mode=game_mode,
        region=region,
        players=players,
        teams=tuple(tuple(team) for team in teams),
        view_groups={player: secrets.token_urlsafe(16) for player in players},
        created_at=now_ms(ctx),
    )
    game = new_game(session.teams, _CHANCE, now_ms=session.created_at)
    await ctx.state.set(SESSIONS, session.id, plain(session))
    for player in session.players:
        await ctx.state.set(BY_PLAYER, player, session.id)
    await save(ctx, session, game)
    return session


async def get(state: State, session_id: str) -> Session | None:
    """Return a session, or None."""
    kept = await state.get(SESSIONS, session_id)
    return None if kept is None else msgspec.convert(kept, Session)


async def game_of(state: State, session_id: str) -> Game | None:
    """Return the whole game of a session, or None."""
    kept = await state.get(GAMES, session_id)
    return None if kept is None else msgspec.convert(kept, Game)


async def of_player(state: State, player_id: str) -> str | None:
    """Return the id of the session that the player is in, or None."""
    session_id: str | None = await state.get(BY_PLAYER, player_id)
    return session_id


async def save(ctx: Context, session: Session, game: Game) -> None:
    """Keep a changed game, tell the players, and set the turn's deadline or end the session."""
    ended = game.end is not None
    await ctx.state.set(GAMES, session.id, plain(game), KEPT_AFTER_END_S if ended else None)
    await _show(ctx, session, game)
    await _release(ctx.state, session, game)
    if ended:
        await _end(ctx, session, game)
    else:
        due = {"sessionId": session.id, "turns": game.turns}
        await ctx.emit("game.turn.due", due, delay=TURN_S)


async def _show(ctx: Context, session: Session, game: Game) -> None:
    stream = ctx.streams[f"game:{session.id}"]
    status = "active" if game.end is None else "completed"
    await stream.set("state", "current", {"version": game.version, "status": status})
    for player, group in session.view_groups.items():
        await stream.send(group, shown(game, player, now_ms(ctx))._asdict())


async def _release(state: State, session: Session, game: Game) -> None:
    """Let those who are out look for another match."""
    for tank in game.tanks:
        out = game.end is not None or not tank.is_alive
        if out and await of_player(state, tank.player) == session.id:
            await state.delete(BY_PLAYER, tank.player)


async def _end(ctx: Context, session: Session, game: Game) -> None:
    done = msgspec.structs.replace(session, status="completed", winner=game.winner)
    await ctx.state.set(SESSIONS, session.id, plain(done), KEPT_AFTER_END_S)
    await ctx.emit("game.ended", ended_event(done))
    await ctx.emit("game.forgetting", {"sessionId": session.id}, delay=KEPT_AFTER_END_S)


def ended_event(session: Session) -> dict[str, Any]:
    """Return the data of `game.ended`."""
    return {
        "sessionId": session.id,
        "gameMode": session.game_mode,
        "players": list(session.players),
        "teams": [list(team) for team in session.teams],
        "winner": session.winner,
    }
