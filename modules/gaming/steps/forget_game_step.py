"""Clears what a game that ended a day ago has left on its stream."""

import msgspec

from tidegate.contract import Context


class Forgetting(msgspec.Struct, frozen=True, rename="camel"):
    """`game.forgetting`: nobody asks for the session any more."""

    session_id: str


config = {
    "type": "event",
    "name": "ForgetGame",
    "description": "Clears the stream of a game a day after its end",
    "flows": ["gaming"],
    "subscribes": ["game.forgetting"],
    "input": Forgetting,
    "emits": [],
}


async def handler(over: Forgetting, ctx: Context) -> None:
    """Delete the stream's value; session and game lapse by themselves."""
    await ctx.streams[f"game:{over.session_id}"].delete("state", "current")
