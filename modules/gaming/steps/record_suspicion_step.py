"""Keeps what anti-cheat reports, for a person to decide on."""

from typing import Any

from modules.gaming import suspicions
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "RecordSuspicion",
    "description": "Keeps reports of anti-cheat by player, for a person to decide on",
    "flows": ["gaming"],
    "subscribes": ["cheat.detected", "player.flagged"],
    "emits": [],
}


async def handler(report: dict[str, Any], ctx: Context) -> None:
    """Add the report to the player's; of very many the oldest go."""
    noted = {**report, "at": ctx.now().isoformat()}
    await suspicions.add_case(ctx.state, report["playerId"], noted)
    ctx.logger.warning(
        "player.suspected",
        player=report["playerId"],
        session=report["sessionId"],
        confidence=report["confidence"],
    )
