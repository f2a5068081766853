"""Remembers how long searches took, so that the next player can be told."""

from typing import Any

from modules.gaming import queue
from modules.gaming.tickets import LIFETIME_S, pool_of
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "LearnWaits",
    "description": "Remembers how long the last searches of a mode and region took",
    "flows": ["gaming"],
    "subscribes": ["match.found", "matchmaking.expired"],
    "emits": [],
}


async def handler(ended: dict[str, Any], ctx: Context) -> None:
    """Note the waits; a search that found nobody took its whole lifetime."""
    pool = pool_of(ended["gameMode"], ended["region"])
    await queue.note_waits(ctx.state, pool, ended.get("waitsS", [LIFETIME_S]))
