"""DetectCheating and its steps on the real engine: reports, once, with evidence; learning."""

from itertools import accumulate
from random import Random
from typing import Any

import pytest

from modules.gaming import suspicions
from modules.gaming.anticheat.features import extract_behavioral_features, feature_vector
from modules.gaming.anticheat.profiles import Profile, Profiles
from modules.gaming.queue import plain
from tests.support.gaming import Arena, arena
from tests.support.gaming_players import CHEATS, honest, recorded
from tidegate.contract import Context

pytestmark = pytest.mark.anyio

SESSION = "s1"


async def _keep(a: Arena, player: str, records: list[dict[str, Any]]) -> None:
    """Keep inputs as GameSession does."""

    async def put(ctx: Context) -> None:
        for record in records:
            key = f"{SESSION}:{player}:{record['sequence']:08d}"
            await ctx.state.set(suspicions.INPUTS, key, record, suspicions.INPUTS_TTL_S)

    await a.call(put)


async def _judge(a: Arena, player: str) -> None:
    await a.harness.emit("player.input.recorded", {"sessionId": SESSION, "playerId": player})
    await a.harness.drain()


async def _learned(a: Arena, bracket: str = "silver") -> None:
    """Fill a bracket's sample with honest sessions."""
    rng, profiles = Random(1), Profiles()
    for number in range(60):
        vector = feature_vector(extract_behavioral_features(recorded(honest(rng), rng, count=100)))
        assert vector is not None
        profiles = profiles.with_profile(Profile(f"p{number}", vector), rng)
    await a.call(lambda ctx: ctx.state.set(suspicions.PROFILES, bracket, plain(profiles)))


async def _reported(a: Arena) -> tuple[int, int]:
    return len(a.harness.capture("cheat.detected")), len(a.harness.capture("player.flagged"))


@pytest.mark.parametrize("kind", sorted(CHEATS))
async def test_gaming_detect_cheating_reports_once(kind: str) -> None:
    """A cheat is reported with his detector and readable evidence; further inputs say no more."""
    rng = Random(11)
    async with arena() as a:
        await _keep(a, "eve", recorded(CHEATS[kind](rng), rng))
        for _ in range(5):
            await _judge(a, "eve")

        [report] = a.harness.capture("cheat.detected")
        reported = await _reported(a)
        cases = await a.harness.client.get("/players/eve/suspicions")
        dead = await a.harness.dead()

    assert kind in report["detectionTypes"]
    assert 0.8 < report["confidence"] <= 1
    assert all(len(e["reason"].split()) >= 5 for e in report["evidence"])
    assert reported == (1, 0)
    assert cases.json()["reports"][0]["evidence"] == report["evidence"]
    assert dead == []


async def test_gaming_detect_cheating_leaves_the_honest_alone() -> None:
    """An honest player is judged against a known bracket, and nothing is said about him."""
    rng = Random(12)
    async with arena() as a:
        await _learned(a)
        await _keep(a, "ann", recorded(honest(rng), rng))
        await _judge(a, "ann")

        reported, dead = await _reported(a), await a.harness.dead()

    assert (reported, dead) == ((0, 0), [])


async def test_gaming_detect_cheating_flags_what_is_only_odd() -> None:
    """Play unlike the bracket flags a player once, with what makes him odd, and accuses nobody."""
    rng = Random(13)
    odd = [
        {
            "sequence": n,
            "timestamp": at,
            "input": {"type": "reaction", "reactionTime": rng.uniform(101, 112)},
        }
        for n, at in enumerate(accumulate(rng.randrange(5, 49) for _ in range(60)))
    ]
    async with arena() as a:
        await _learned(a)
        await _keep(a, "odd", odd)
        for _ in range(3):
            await _judge(a, "odd")

        reported = await _reported(a)
        [flag] = a.harness.capture("player.flagged")

    assert reported == (0, 1)
    assert 0.5 < flag["confidence"] <= 0.8
    assert flag["evidence"][0]["detector"] == "anomaly"


async def test_gaming_detect_cheating_new_finding_is_a_new_report() -> None:
    """What was reported is not repeated; another detector in the same session is."""
    rng = Random(14)
    first = recorded(CHEATS["macro"](rng), rng)
    later = recorded(CHEATS["speed_hack"](rng), rng)
    for record in later:
        record["sequence"] += len(first)
        record["timestamp"] += 10_000_000
    async with arena() as a:
        await _keep(a, "eve", first)
        await _judge(a, "eve")
        await _keep(a, "eve", later)
        await _judge(a, "eve")
        await _judge(a, "eve")

        reports = a.harness.capture("cheat.detected")

    assert reports[0]["detectionTypes"] == ["macro"]
    assert "speed_hack" in reports[1]["detectionTypes"]
    assert len(reports) == 2


async def test_gaming_detect_cheating_holds_up_no_game() -> None:
    """Judging is processor time, so its step runs in a process of its own."""
    async with arena() as a:
        step = a.harness.engine.steps["DetectCheating"]

    assert step.config.execution == "process"


async def test_gaming_detect_cheating_needs_ten_inputs() -> None:
    """Nine inputs, however odd, are not judged."""
    async with arena() as a:
        records = [{"sequence": n, "timestamp": 0, "input": {}} for n in range(9)]
        await _keep(a, "ann", records)
        await _judge(a, "ann")

        assert await _reported(a) == (0, 0)
        assert await a.harness.dead() == []


async def test_gaming_detect_cheating_survives_odd_inputs() -> None:
    """Inputs of one millisecond, without anything in them, end in no error."""
    async with arena() as a:
        await _keep(a, "ann", [{"sequence": n, "timestamp": 5, "input": {}} for n in range(40)])
        await _judge(a, "ann")

        assert await a.harness.dead() == []


async def test_gaming_detect_cheating_names_are_no_patterns() -> None:
    """A player called `*` is not judged by the inputs of others."""
    rng = Random(15)
    async with arena() as a:
        await _keep(a, "eve", recorded(CHEATS["macro"](rng), rng))
        for name in ("*", "e?e", "[a-z]ve"):
            await _judge(a, name)

        assert await _reported(a) == (0, 0)


async def test_gaming_detect_cheating_of_a_wrong_event_is_a_dead_letter() -> None:
    """An event without a player is dead-lettered before anything is computed."""
    async with arena() as a:
        await a.harness.emit("player.input.recorded", {"sessionId": SESSION})
        await a.harness.drain()

        [dead] = await a.harness.dead()

    assert dead.step == "DetectCheating"
    assert "playerId" in dead.error


async def test_gaming_learn_behavior_fills_the_bracket() -> None:
    """A game's end adds its players to their bracket; who is suspected is left out."""
    rng = Random(16)
    ended = {
        "sessionId": SESSION,
        "gameMode": "1v1",
        "players": ["ann", "eve"],
        "teams": [["ann"], ["eve"]],
        "winner": 1,
    }
    async with arena() as a:
        await a.rate("ann", 1000)
        await _keep(a, "ann", recorded(honest(rng), rng))
        await _keep(a, "eve", recorded(CHEATS["macro"](rng), rng))
        await _judge(a, "eve")
        await a.harness.emit("game.ended", ended)
        await a.harness.drain()

        sample = await a.harness.state("behavior_profiles", "silver")
        dead = await a.harness.dead()

    assert [profile["player"] for profile in sample["kept"]] == ["ann"]
    assert len(sample["kept"][0]["vector"]) == 6
    assert dead == []


async def test_gaming_detect_cheating_judges_a_real_game() -> None:
    """Inputs of the duel are judged as they are played, without an error and without a report."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        rng = Random(17)
        moves = [{"type": "move", "direction": d} for d in ("north", "south", "east", "west")]
        for _ in range(40):
            for who in (ann, bob):
                await a.harness.tick(rng.uniform(0.4, 4))
                await who.say(rng.choice(moves))
                await a.harness.drain()

        inputs = await a.group("player_inputs")
        reported, dead = await _reported(a), await a.harness.dead()

    assert len(inputs) >= 30
    assert (reported, dead) == ((0, 0), [])
