"""One connection's part in a game: what is done, and what is sent, on every occasion.

Each function runs in a transaction of its own and may run again; it returns frames, and sends
none. All of the game that is in them comes from `visibility.view`.
"""

import uuid
from typing import Any, NamedTuple

from msgspec.structs import replace

from modules.gaming import frames, inputs, presence, sessions
from modules.gaming.duel import rules
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import Action, Game, Shoot
from modules.gaming.frames import Reply
from modules.gaming.presence import MAX_STRIKES, Presence
from modules.gaming.queue import now_ms, plain
from modules.gaming.sessions import Session
from modules.gaming.suspicions import INPUTS, INPUTS_TTL_S
from modules.gaming.visibility import sees
from tidegate.contract import Context

TAKEN_OVER = (4001, "connected elsewhere")
NO_MEMBER = (1008, "Unauthorized")
TOO_MANY = (1008, "too many refused messages")


class Seat(NamedTuple):
    """A player's connection to a session."""

    session_id: str
    player_id: str
    connection_id: str


def new_seat(session_id: str, player_id: str) -> Seat:
    """Return a seat with a new connection id."""
    return Seat(session_id, player_id, uuid.uuid4().hex)


async def view_group(ctx: Context, session_id: str, player_id: str) -> str | None:
    """Return the group of the session's stream with the player's view; None for a stranger."""
    session = await sessions.get(ctx.state, session_id)
    return None if session is None else session.view_groups.get(player_id)


async def join(ctx: Context, seat: Seat, group: str) -> Reply:
    """Take the seat, and return the full view: who was connected to it is told and put off."""
    game = await sessions.game_of(ctx.state, seat.session_id)
    if game is None:
        return Reply(close=NO_MEMBER)
    now = now_ms(ctx)
    await presence.put(ctx.state, Presence(*seat, connected_at=now, last_input=now))
    taken = {"connectionId": seat.connection_id, "timestamp": now}
    await ctx.streams[f"game:{seat.session_id}"].send(group, taken)
    return frames.shown(game, seat.player_id, now)


def news(change: dict[str, Any], seat: Seat, group: str) -> Reply:
    """Return what a change on the session's stream means for a seat whose view is in a group.

    The changes of other groups are other players' views: they are nobody's business here.
    """
    if change["group"] != group or change["type"] != "event":
        return Reply()
    data = change["data"]
    if "connectionId" in data:
        elsewhere = data["connectionId"] != seat.connection_id
        return Reply((_elsewhere(data["timestamp"]),), TAKEN_OVER) if elsewhere else Reply()
    close = data["close"]
    return Reply(tuple(data["frames"]), None if close is None else (close[0], close[1]))


async def receive(ctx: Context, seat: Seat, message: object) -> Reply:
    """Take a message of the player: apply it, or say why not."""
    present = await presence.get(ctx.state, seat.session_id, seat.player_id)
    if present is None or present.connection_id != seat.connection_id:
        return Reply((_elsewhere(now_ms(ctx)),), TAKEN_OVER)
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
        return Reply((frames.error("over", "the game is over", now_ms(ctx)),), frames.GAME_OVER)
    try:
        after = rules.played(game, seat.player_id, action, now_ms=now_ms(ctx))
    except rules.Refused as exc:
        return Reply((frames.error(exc.code, str(exc), now_ms(ctx)),))
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
    return Reply((frames.error(code, text, now_ms(ctx)),), close)


def _elsewhere(at_ms: int) -> dict[str, Any]:
    return frames.error("taken-over", "you are connected elsewhere", at_ms)
