"""Ends a turn whose time is up: nobody waits for a player who is gone."""

import msgspec

from modules.gaming import sessions
from modules.gaming.duel import rules
from modules.gaming.queue import now_ms
from tidegate.contract import Context


class TurnDue(msgspec.Struct, frozen=True, rename="camel"):
    """`game.turn.due`: the time of a turn is up; `turns` are those that were before it."""

    session_id: str
    turns: int


config = {
    "type": "event",
    "name": "EndTurn",
    "description": "Ends a turn whose time is up; who misses three is out",
    "flows": ["gaming"],
    "subscribes": ["game.turn.due"],
    "input": TurnDue,
    "emits": ["game.turn.due", "game.ended", "game.forgetting"],
}


async def handler(due: TurnDue, ctx: Context) -> None:
    """Let the turn pass, unless it was taken meanwhile."""
    session = await sessions.get(ctx.state, due.session_id)
    game = await sessions.game_of(ctx.state, due.session_id)
    if session is None or game is None or game.end is not None or game.turns != due.turns:
        return
    await sessions.save(ctx, session, rules.skipped(game, now_ms=now_ms(ctx)))
