"""Adds how people played in a game to what their skill bracket is known by."""

from random import Random
from typing import Any

from modules.gaming import suspicions
from modules.gaming.anticheat.features import extract_behavioral_features, feature_vector
from modules.gaming.anticheat.profiles import Profile
from modules.gaming.suspicions import Reported
from tidegate.contract import Context

config = {
    "type": "event",
    "name": "LearnBehavior",
    "description": "Adds the players of a game to the sample of their skill bracket",
    "flows": ["gaming"],
    "subscribes": ["game.ended"],
    "emits": [],
}


async def handler(ended: dict[str, Any], ctx: Context) -> None:
    """Learn from each player; not from one who is suspected: cheating must not become the rule."""
    for player in ended["players"]:
        if await suspicions.reported(ctx.state, ended["sessionId"], player) == Reported():
            await _learn(ctx, ended["sessionId"], player)


async def _learn(ctx: Context, session_id: str, player: str) -> None:
    inputs = await suspicions.inputs_of(ctx.state, session_id, player)
    vector = feature_vector(extract_behavioral_features(inputs))
    if vector is None:
        return
    bracket = await suspicions.bracket_of(ctx.state, player)
    sample = await suspicions.profiles_of(ctx.state, bracket)
    # The same on every run of this invocation, so that a retry takes the same sample.
    rng = Random(f"{session_id}:{player}")  # noqa: S311 - a sample, no secret
    await suspicions.keep_profiles(
        ctx.state, bracket, sample.with_profile(Profile(player, vector), rng)
    )
