"""Looks at how a player plays, after each of his inputs, and reports what no hand can do."""

from typing import Any

import msgspec

from modules.gaming import suspicions
from modules.gaming.anticheat.judging import judged
from modules.gaming.anticheat.verdicts import (
    FLAG_ABOVE,
    REPORT_ABOVE,
    Verdict,
    calculate_cheat_confidence,
    compile_evidence,
)
from tidegate.contract import Context


class InputRecorded(msgspec.Struct, frozen=True, rename="camel"):
    """`player.input.recorded`: an accepted input stands in `player_inputs`."""

    session_id: str
    player_id: str
    sequence: int = 0


config = {
    "type": "event",
    "name": "DetectCheating",
    "description": "Judges a player's inputs; reports each finding once per session",
    "flows": ["gaming"],
    "subscribes": ["player.input.recorded"],
    "input": InputRecorded,
    "emits": ["cheat.detected", "player.flagged"],
    # Fitting and scoring are processor time: in a process of its own they hold up no game.
    "execution": "process",
}

_FEWEST_INPUTS = 10


async def handler(data: dict[str, Any], ctx: Context) -> None:
    """Judge, and report detectors that were not reported for this player and session before."""
    # A handler in its own process gets plain data; it has been checked against `input` before.
    recorded = msgspec.convert(data, InputRecorded)
    session_id, player_id = recorded.session_id, recorded.player_id
    inputs = await suspicions.inputs_of(ctx.state, session_id, player_id)
    if len(inputs) < _FEWEST_INPUTS:
        return
    bracket = await suspicions.bracket_of(ctx.state, player_id)
    profiles = await suspicions.profiles_of(ctx.state, bracket)
    verdicts = judged(inputs, profiles)
    findings = {name: verdict.finding for name, verdict in verdicts.items()}
    ctx.logger.debug("session.judged", findings=findings)
    await _report(ctx, recorded, verdicts)


async def _report(ctx: Context, recorded: InputRecorded, verdicts: dict[str, Verdict]) -> None:
    confidence = calculate_cheat_confidence(verdicts)
    if confidence <= FLAG_ABOVE:
        return
    found = {name for name, verdict in verdicts.items() if verdict.detected}
    known = await suspicions.reported(ctx.state, recorded.session_id, recorded.player_id)
    sure = confidence > REPORT_ABOVE
    if found <= (set(known.sure) if sure else {*known.sure, *known.suspected}):
        return
    await suspicions.note_reported(
        ctx.state,
        recorded.session_id,
        recorded.player_id,
        sure=(*known.sure, *found) if sure else known.sure,
        suspected=known.suspected if sure else (*known.suspected, *found),
    )
    whom: dict[str, Any] = {"playerId": recorded.player_id, "sessionId": recorded.session_id}
    shown = {"confidence": round(confidence, 3), "evidence": compile_evidence(verdicts)}
    if sure:
        await ctx.emit("cheat.detected", {**whom, "detectionTypes": sorted(found), **shown})
    else:
        await ctx.emit("player.flagged", {**whom, "reason": "suspicious_behavior", **shown})
