"""How unlike the players of his bracket one plays: an isolation forest over feature vectors.

Fitting takes some tenths of a second of processor time: run it off the event loop. A forest is
kept for as long as its sample stays the same.
"""

import functools

import numpy as np
from sklearn.ensemble import IsolationForest

from modules.gaming.anticheat.features import Features, feature_vector
from modules.gaming.anticheat.profiles import Profiles, Vector
from modules.gaming.anticheat.verdicts import CLEAR, Verdict, detected, too_little

ENOUGH_PROFILES = 50
ENOUGH_PLAYERS = 20
# To be unlike the others is no proof: alone it may flag a player, and never accuse him.
_LEAST, _MOST = 0.3, 0.7
_TAIL = 0.01
# Two fifths of the way from the usual to the tail again beyond it: forests score no farther.
_FAR = 0.4
_TREES = 100
_SEED = 42


def detect_anomalous_behavior(features: Features, profiles: Profiles) -> Verdict:
    """Compare a session with the sessions of the bracket.

    The score is the forest's mean path length brought to (-1, 0); what lies below all but 1 % of
    the sample's own scores is found, with the more confidence the further it lies below.
    """
    vector = feature_vector(features)
    if vector is None:
        return Verdict("not enough data", reason="not enough data: the session is too short")
    players = len({profile.player for profile in profiles.kept})
    if players < ENOUGH_PLAYERS:
        return too_little("players of the bracket", players, ENOUGH_PLAYERS)
    if len(profiles.kept) < ENOUGH_PROFILES:
        return too_little("sessions of the bracket", len(profiles.kept), ENOUGH_PROFILES)
    forest, usual = _fitted(profiles.vectors())
    score = float(forest.score_samples(np.asarray([vector]))[0])
    unusual, typical = (float(q) for q in np.quantile(usual, [_TAIL, 0.5]))
    if score >= unusual:
        return CLEAR
    beyond = (unusual - score) / max(1e-9, typical - unusual)
    reason = (
        f"plays unlike {len(profiles.kept)} sessions of the bracket:"
        f" score {score:.2f}, usual {typical:.2f}, 1 in 100 below {unusual:.2f}"
    )
    confidence = min(_MOST, _LEAST + (_MOST - _LEAST) * beyond / _FAR)
    return detected(confidence, reason, score=score, usual=typical)


@functools.lru_cache(maxsize=16)
def _fitted(vectors: tuple[Vector, ...]) -> tuple[IsolationForest, np.ndarray]:
    sample = np.asarray(vectors)
    forest = IsolationForest(n_estimators=_TREES, random_state=_SEED).fit(sample)
    return forest, forest.score_samples(sample)
