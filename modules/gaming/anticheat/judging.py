"""All detectors over one session. It computes for some time: run it off the event loop."""

from collections.abc import Iterable
from typing import Any

from modules.gaming.anticheat import detectors
from modules.gaming.anticheat.anomaly import detect_anomalous_behavior
from modules.gaming.anticheat.features import extract_behavioral_features
from modules.gaming.anticheat.profiles import Profiles
from modules.gaming.anticheat.verdicts import Verdict


def judged(records: Iterable[Any], profiles: Profiles) -> dict[str, Verdict]:
    """Return what each detector says about the kept inputs of a player in a session."""
    features = extract_behavioral_features(records)
    return {
        "speed_hack": detectors.detect_speed_hack(features),
        "aim_bot": detectors.detect_aim_bot(features),
        "wall_hack": detectors.detect_wall_hack(features),
        "macro": detectors.detect_macro_usage(features),
        "anomaly": detect_anomalous_behavior(features, profiles),
    }
