"""How often anti-cheat is right and wrong, on simulated players; the seeds are fixed.

Measured with 1,000 honest players and 200 cheats of each kind: see docs/explanation. The bounds
here are loose, over fewer players.
"""

from random import Random

import pytest

from modules.gaming.anticheat.features import extract_behavioral_features, feature_vector
from modules.gaming.anticheat.judging import judged
from modules.gaming.anticheat.profiles import Profile, Profiles
from modules.gaming.anticheat.verdicts import (
    FLAG_ABOVE,
    REPORT_ABOVE,
    calculate_cheat_confidence,
)
from tests.support.gaming_players import CHEATS, Style, honest, recorded

HONEST = 300
CHEATING = 60


@pytest.fixture(scope="module")
def bracket() -> Profiles:
    """Return a sample of 120 honest sessions."""
    rng = Random(1)
    profiles = Profiles()
    for number in range(120):
        features = extract_behavioral_features(recorded(honest(rng), rng))
        vector = feature_vector(features)
        assert vector is not None
        profiles = profiles.with_profile(Profile(f"p{number}", vector), rng)
    return profiles


def _confidences(styles: list[Style], bracket: Profiles, rng: Random) -> list[float]:
    return [calculate_cheat_confidence(judged(recorded(style, rng), bracket)) for style in styles]


def test_gaming_rates_honest_players_are_left_alone(bracket: Profiles) -> None:
    """Of 300 honest players at most three are accused, and at most nine suspected."""
    rng = Random(2)

    found = _confidences([honest(rng) for _ in range(HONEST)], bracket, rng)

    assert sum(c > REPORT_ABOVE for c in found) <= 3
    assert sum(c > FLAG_ABOVE for c in found) <= 9


@pytest.mark.parametrize(
    ("kind", "least"), [("speed_hack", 0.9), ("aim_bot", 0.9), ("macro", 0.9), ("wall_hack", 0.55)]
)
def test_gaming_rates_cheats_are_found(bracket: Profiles, kind: str, least: float) -> None:
    """Nine of ten cheats are reported; of wall hacks, which show only now and then, half."""
    rng = Random(3)

    found = _confidences([CHEATS[kind](rng) for _ in range(CHEATING)], bracket, rng)

    assert sum(c > REPORT_ABOVE for c in found) >= least * CHEATING


def test_gaming_rates_cheats_are_named(bracket: Profiles) -> None:
    """The detector that finds a cheat is the one that is named after it."""
    rng = Random(4)

    for kind, make in CHEATS.items():
        named = [judged(recorded(make(rng), rng), bracket)[kind].detected for _ in range(20)]

        assert sum(named) >= 14
