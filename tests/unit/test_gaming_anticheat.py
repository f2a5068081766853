"""Anti-cheat: what is computed from inputs, what each detector says, how it adds up."""

from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.gaming.anticheat import detectors, motion
from modules.gaming.anticheat.anomaly import detect_anomalous_behavior
from modules.gaming.anticheat.features import (
    AimedHit,
    Features,
    Movement,
    extract_behavioral_features,
    feature_vector,
)
from modules.gaming.anticheat.judging import judged
from modules.gaming.anticheat.observed import Observed
from modules.gaming.anticheat.profiles import MAX_OF_ONE_PLAYER, MAX_PROFILES, Profile, Profiles
from modules.gaming.anticheat.verdicts import (
    CLEAR,
    calculate_cheat_confidence,
    compile_evidence,
    detected,
    too_little,
)
from tests.support.gaming_players import honest, recorded

_JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)
_RECORD = st.fixed_dictionaries(
    {"timestamp": st.one_of(st.integers(0, 10_000), _JUNK), "input": _JUNK},
    optional={"hit": _JUNK, "targetVisible": _JUNK, "turnBeganAt": _JUNK},
)


def _moved(at_ms: float, x: float) -> dict[str, Any]:
    return {"timestamp": at_ms, "input": {"type": "move", "position": {"x": x, "y": 0}}}


def _shot(at_ms: float, aim: float, **facts: bool) -> dict[str, Any]:
    return {"timestamp": at_ms, "input": {"type": "shoot", "aim": aim}, **facts}


@cache
def _sample(sessions: int = 80, *, of: int = 80) -> Profiles:
    rng = Random(1)
    profiles = Profiles()
    for number in range(sessions):
        features = extract_behavioral_features(recorded(honest(rng), rng, count=120))
        vector = feature_vector(features)
        assert vector is not None
        profiles = profiles.with_profile(Profile(f"p{number % of}", vector), rng)
    return profiles


def test_gaming_motion_between_two_inputs() -> None:
    """Speed in units a second, the smaller angle, acceleration; unknown where time stands still."""
    a = Observed(0, position=(0, 0, 0), aim_deg=350)
    b = Observed(500, position=(3, 4, 0), aim_deg=10)

    assert motion.calculate_speed(a, b, 500) == 10
    assert motion.calculate_direction_change(a, b) == 20
    assert motion.calculate_acceleration(2, 10, 500) == 16
    assert motion.calculate_speed(a, b, 0) is None
    assert motion.calculate_acceleration(2, 10, 0) is None
    assert motion.calculate_speed(a, Observed(500), 500) is None
    assert motion.calculate_direction_change(a, Observed(500)) is None
    assert motion.calculate_acceleration(None, 10, 500) is None


def test_gaming_features_fill_every_field() -> None:
    """Every list of the sample's features is filled, the accuracy among them."""
    records = [_moved(0, 0), _moved(1000, 5), _moved(3000, 15)]
    records += [_shot(3100, 10, hit=True, targetVisible=True)]
    records += [_shot(3200, 90, hit=True, targetVisible=False)]
    records += [{"timestamp": 3300, "input": {"type": "reaction", "reactionTime": 220}}]
    records += [{"timestamp": 3400, "input": {"type": "wait"}, "turnBeganAt": 3250}]

    features = extract_behavioral_features(reversed(records))

    assert features.input_intervals == (1000, 2000, 100, 100, 100, 100)
    assert features.action_frequency == (1, 1, 5)
    assert features.reaction_times == (220, 150)
    assert features.accuracy_scores == (1, 1)
    assert features.movement_patterns[0] == Movement(5, None, None)
    assert features.movement_patterns[3] == Movement(None, 80, None)
    assert features.sustained_speeds == (5,)
    assert features.aimed_hits == (AimedHit(80, 100),)
    assert features.hidden_shots == (True,)


@settings(max_examples=40)
@given(st.lists(st.one_of(_RECORD, _JUNK), max_size=20))
def test_gaming_judging_takes_any_records(records: list[Any]) -> None:
    """Whatever stands in the state, nothing is divided by zero and no confidence leaves [0, 1]."""
    verdicts = judged(records, Profiles())

    assert all(0 <= verdict.confidence < 1 for verdict in verdicts.values())
    assert 0 <= calculate_cheat_confidence(verdicts) <= 1


def test_gaming_judging_of_nothing_says_so() -> None:
    """Without inputs every detector says that there is not enough data, and with what it needs."""
    verdicts = judged([], Profiles())

    assert {verdict.finding for verdict in verdicts.values()} == {"not enough data"}
    assert verdicts["macro"].reason == "not enough data: 0 of 30 intervals between inputs"


def test_gaming_aim_bot_without_movement_divides_by_nothing() -> None:
    """Shots without any movement: the sample divided by the number of movements."""
    features = Features(accuracy_scores=(1.0,) * 40)

    verdict = detectors.detect_aim_bot(features)

    assert verdict.detected
    assert verdict.reason == "hit with 40 of 40 aimed shots"


def test_gaming_aim_bot_snaps_also_within_the_same_millisecond() -> None:
    """A turn and a hit at the same ms is a snap; a wide flick of a hand is none."""
    snaps = detectors.detect_aim_bot(Features(aimed_hits=(AimedHit(90, 0),) * 10))
    flicks = detectors.detect_aim_bot(Features(aimed_hits=(AimedHit(170, 150),) * 10))

    assert snaps.detected
    assert "turn of 90° within 0 ms" in snaps.reason
    assert flicks.finding == "clear"


def test_gaming_aim_bot_a_very_good_shot_is_no_proof() -> None:
    """Nine of ten over seventy shots is suspicious at most."""
    scores = (1.0,) * 66 + (0.0,) * 4

    verdict = detectors.detect_aim_bot(Features(accuracy_scores=scores))

    assert calculate_cheat_confidence({"aim_bot": verdict}) <= 0.8


def test_gaming_speed_hack_is_not_lag() -> None:
    """Too fast in many windows is found; one late delivery of many inputs is not."""
    cheat = detectors.detect_speed_hack(Features(sustained_speeds=(20.0,) * 8))
    lag = detectors.detect_speed_hack(Features(sustained_speeds=(11, 11, 1, 23, 11, 11, 11)))

    assert cheat.detected
    assert cheat.reason == ("moved at 20.0 units/s in 8 of 8 windows of 3 s; the rules allow 12.0")
    assert lag.finding == "clear"


def test_gaming_macro_is_found_in_cycles() -> None:
    """A rhythm of three pauses repeats, though no two neighbours are alike."""
    program = detectors.detect_macro_usage(Features(input_intervals=(80, 150, 220) * 15))
    rng = Random(4)
    hand = Features(input_intervals=tuple(rng.gauss(150, 30) for _ in range(45)))

    assert (program.detected, program.numbers["cycle"]) == (True, 3)
    assert detectors.detect_macro_usage(hand).finding == "clear"


def test_gaming_wall_hack_is_more_than_luck() -> None:
    """Eleven of twelve unseen targets is no luck; four of twelve may be."""
    sure = detectors.detect_wall_hack(Features(hidden_shots=(True,) * 11 + (False,)))
    lucky = detectors.detect_wall_hack(Features(hidden_shots=(True,) * 4 + (False,) * 8))

    assert sure.detected
    assert sure.reason.startswith("hit 11 of 12 targets that were out of sight; luck explains")
    assert lucky.finding == "clear"


def test_gaming_anomaly_says_what_is_missing() -> None:
    """Too short a session, too few players, too few sessions: each is named, nothing is raised."""
    features = extract_behavioral_features(recorded(honest(Random(5)), Random(5)))

    short = detect_anomalous_behavior(Features(), _sample())
    empty = detect_anomalous_behavior(features, Profiles())
    one_player = detect_anomalous_behavior(features, _sample(60, of=15))
    few = detect_anomalous_behavior(features, _sample(30))

    reasons = [verdict.reason for verdict in (short, empty, one_player, few)]
    assert reasons == [
        "not enough data: the session is too short",
        "not enough data: 0 of 20 players of the bracket",
        "not enough data: 15 of 20 players of the bracket",
        "not enough data: 30 of 50 sessions of the bracket",
    ]


def test_gaming_anomaly_finds_what_is_unlike_the_bracket() -> None:
    """The forest is fitted on the bracket: a program stands out, a person does not."""
    profiles = _sample()
    person = extract_behavioral_features(recorded(honest(Random(6)), Random(6)))
    program = Features(reaction_times=(15.0,) * 40, input_intervals=(5.0,) * 200)

    found = detect_anomalous_behavior(program, profiles)

    assert detect_anomalous_behavior(person, profiles).finding == "clear"
    assert found.detected
    assert 0.5 < found.confidence <= 0.7


def test_gaming_profiles_are_bounded_and_fair() -> None:
    """Never more than 256, never more than four of one player, early ones and late ones alike."""
    rng = Random(2)
    profiles = Profiles()
    for number in range(2000):
        profiles = profiles.with_profile(Profile(f"p{number}", (float(number),)), rng)
    for number in range(50):
        profiles = profiles.with_profile(Profile("eager", (float(number),)), rng)

    numbers = [p.vector[0] for p in profiles.kept if p.player != "eager"]
    assert len(profiles.kept) == MAX_PROFILES
    assert sum(p.player == "eager" for p in profiles.kept) <= MAX_OF_ONE_PLAYER
    assert 800 < sum(numbers) / len(numbers) < 1200


def test_gaming_profiles_of_one_player_are_his_latest() -> None:
    """A fifth session of a player takes the place of his first."""
    profiles = Profiles()
    for number in range(6):
        profiles = profiles.with_profile(Profile("ann", (float(number),)), Random(1))

    assert [profile.vector for profile in profiles.kept] == [(2,), (3,), (4,), (5,)]


def test_gaming_confidence_combines_as_probabilities() -> None:
    """Two findings of one half make three quarters; what found nothing counts nothing."""
    verdicts = {
        "a": detected(0.5, "x"),
        "b": detected(0.5, "y"),
        "c": CLEAR,
        "d": too_little("things", 1, 2),
    }

    assert calculate_cheat_confidence(verdicts) == 0.75
    assert calculate_cheat_confidence({}) == 0
    assert calculate_cheat_confidence({"a": detected(7, "x"), "b": detected(-1, "y")}) == 0.99


def test_gaming_evidence_can_be_read() -> None:
    """The surest finding comes first, with a sentence and the numbers behind it."""
    verdicts = {"a": detected(0.6, "weak", n=1 / 3), "b": detected(0.9, "strong"), "c": CLEAR}

    assert compile_evidence(verdicts) == [
        {"detector": "b", "confidence": 0.9, "reason": "strong", "numbers": {}},
        {"detector": "a", "confidence": 0.6, "reason": "weak", "numbers": {"n": 0.333}},
    ]


@pytest.mark.parametrize(
    "position", [[3, 4], (3, 4, 0), {"x": 3, "y": 4}, {"x": 3, "y": 4, "z": 0}]
)
def test_gaming_observed_positions_come_in_several_forms(position: object) -> None:
    """Lists and objects, flat or in space, are positions."""
    records = [_moved(0, 0), {"timestamp": 1000, "input": {"position": position}}]

    assert extract_behavioral_features(records).movement_patterns[0].speed == 5
