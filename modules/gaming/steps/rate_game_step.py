"""Changes the ratings of those who played a game."""

from typing import Any

from modules.gaming import ratings
from modules.gaming.queue import STATS
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "RateGame",
    "description": "Changes the players' ratings after a game",
    "flows": ["gaming"],
    "subscribes": ["game.ended"],
    "emits": [],
}


async def handler(ended: dict[str, Any], ctx: Context) -> None:
    """Rate a game once: its end is one event, and its commit is all or nothing."""
    stats = {player: await ctx.state.get(STATS, player) or {} for player in ended["players"]}
    before = {player: ratings.rating_of(kept) for player, kept in stats.items()}
    after = ratings.rated(ended["teams"], before, ended["winner"])
    for player, kept in stats.items():
        won = ended["winner"] is not None and player in ended["teams"][ended["winner"]]
        kept["rating"] = after[player]
        kept["games"] = kept.get("games", 0) + 1
        kept["wins"] = kept.get("wins", 0) + int(won)
        await ctx.state.set(STATS, player, kept)
