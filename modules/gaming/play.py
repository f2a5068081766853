"""One connection's part in a game: what is done, and what is sent, on every occasion.

Each function runs in a transaction of its own and may run again; it returns frames, and sends
none. All frames with something of the game in them come from `visibility.view`.
"""

import uuid
from typing import Any, NamedTuple

from msgspec.structs import replace

from modules.gaming import inputs, presence, sessions
from modules.gaming.duel import rules
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import Action, Game, Shoot
from modules.gaming.presence import MAX_STRIKES, Presence
from modules.gaming.queue import now_ms, plain
from modules.gaming.sessions import Session
from modules.gaming.suspicions import INPUTS, INPUTS_TTL_S
from modules.gaming.visibility import sees, view
from tidegate.contract import Context

TAKEN_OVER = (4001, "connected elsewhere")
NO_MEMBER = (1008, "Unauthorized")
TOO_MANY = (1008, "too many refused messages")
GAME_OVER = (1000, "game over")

Close = tuple[int, str]


class Seat(NamedTuple):
    """A player's connection to a session."""

    session_id: str
    player_id: str
    connection_id: str


class Reply(NamedTuple):
    """What to send to the one who is connected, and whether to close then."""

    frames: tuple[dict[str, Any], ...] = ()
    close: Close | None = None


def new_seat(session_id: str, player_id: str) -> Seat:
    """Return a seat with a new connection id."""
    return Seat(session_id, player_id, uuid.uuid4().hex)


async def join(ctx: Context, seat: Seat) -> Reply:
    """Take the seat: who is connected to it already is told and put off. Strangers are refused."""
    session = await sessions.get(ctx.state, seat.session_id)
    if session is None or seat.player_id not in session.players:
        return Reply(close=NO_MEMBER)
    now = now_ms(ctx)
    await presence.put(ctx.state, Presence(*seat, connected_at=now, last_input=now))
    told = {"playerId": seat.player_id, "connectionId": seat.connection_id}
    await ctx.streams[f"game:{seat.session_id}"].send("connections", told)
    return await show(ctx, seat)


async def show(ctx: Context, seat: Seat) -> Reply:
    """Return the player's full view of the game; after the end also the closing."""
    game = await sessions.game_of(ctx.state, seat.session_id)
    if game is None or not _plays(game, seat.player_id):
        return Reply(close=NO_MEMBER)
    shown = view(game, seat.player_id)
    at = now_ms(ctx)
    update = {"type": "gameUpdate", "data": shown, "timestamp": at}
    if game.end is None:
        return Reply((update,))
    won = game.end == "won" and game.tank_of(seat.player_id).team == game.winner
    result = "drawn" if game.end == "drawn" else "won" if won else "lost"
    over = {"type": "gameOver", "result": result, "winners": shown["winners"], "timestamp": at}
    return Reply((update, over), GAME_OVER)


async def changed(ctx: Context, seat: Seat, change: dict[str, Any]) -> Reply:
    """Answer a change on the session's stream: the new view, or that another took the seat."""
    if change["group"] == "state":
        return await show(ctx, seat)
    told = change.get("data") or {}
    ours = told.get("playerId") == seat.player_id
    if ours and told.get("connectionId") != seat.connection_id:
        return Reply((_error(ctx, "taken-over", "you are connected elsewhere"),), TAKEN_OVER)
    return Reply()


async def receive(ctx: Context, seat: Seat, message: object) -> Reply:
    """Take a message of the player: apply it, or say why not."""
    present = await presence.get(ctx.state, seat.session_id, seat.player_id)
    if present is None or present.connection_id != seat.connection_id:
        return Reply((_error(ctx, "taken-over", "you are connected elsewhere"),), TAKEN_OVER)
    present = presence.refilled(present, now_ms(ctx))
    paid = presence.taken(present)
    if paid is None:
        return await _strike(ctx, present, "rate", f"send at most {presence.PER_S:.0f} a second")
    try:
        action = inputs.decode(message)
    except inputs.BadInput as exc:
        return await _strike(ctx, paid, "invalid", str(exc))
    return await _act(ctx, seat, paid, action)


async def leave(ctx: Context, seat: Seat) -> None:
    """Give the seat up, unless another connection has taken it."""
    present = await presence.get(ctx.state, seat.session_id, seat.player_id)
    if present is not None and present.connection_id == seat.connection_id:
        await presence.end(ctx.state, present)


async def _act(ctx: Context, seat: Seat, present: Presence, action: Action) -> Reply:
    await presence.put(ctx.state, replace(present, strikes=0))
    session = await sessions.get(ctx.state, seat.session_id)
    game = await sessions.game_of(ctx.state, seat.session_id)
    if session is None or game is None:
        return Reply((_error(ctx, "over", "the game is over"),), GAME_OVER)
    try:
        after = rules.played(game, seat.player_id, action, now_ms=now_ms(ctx))
    except rules.Refused as exc:
        return Reply((_error(ctx, exc.code, str(exc)),))
    await sessions.save(ctx, session, after)
    await _record(ctx, session, seat, _input_of(game, after, seat.player_id, action))
    return Reply()


async def _record(ctx: Context, session: Session, seat: Seat, record: dict[str, Any]) -> None:
    """Keep an accepted input for an hour, and say that it is there."""
    record["timestamp"] = now_ms(ctx)
    # A sequence, not the time: two inputs of one millisecond are two.
    key = f"{presence.key_of(seat.session_id, seat.player_id)}:{record['sequence']:08d}"
    await ctx.state.set(INPUTS, key, record, INPUTS_TTL_S)
    recorded = {
        "sessionId": seat.session_id,
        "playerId": seat.player_id,
        "sequence": record["sequence"],
        "gameMode": session.game_mode,
    }
    await ctx.emit("player.input.recorded", recorded)


def _input_of(before: Game, after: Game, player: str, action: Action) -> dict[str, Any]:
    """Return what anti-cheat looks at: the input, and what the server knows about it."""
    own = after.tank_of(player)
    record: dict[str, Any] = {
        "sequence": after.inputs,
        "input": {**plain(action), "position": plain(own.at)},
    }
    if before.tanks[before.turn].player == player:
        record["turnBeganAt"] = before.began_at
    if isinstance(action, Shoot):
        target = Cell(action.x, action.y)
        record["hit"] = any(happening.kind == "hit" for happening in after.last)
        record["targetVisible"] = sees(before, player, target)
    return record


async def _strike(ctx: Context, present: Presence, code: str, text: str) -> Reply:
    struck = presence.struck(present)
    await presence.put(ctx.state, struck)
    close = TOO_MANY if struck.strikes >= MAX_STRIKES else None
    return Reply((_error(ctx, code, text),), close)


def _plays(game: Game, player: str) -> bool:
    return any(tank.player == player for tank in game.tanks)


def _error(ctx: Context, code: str, text: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": text, "timestamp": now_ms(ctx)}
