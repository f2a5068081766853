"""Detectors for single ways of cheating, each over the features of one session. Pure.

Thresholds are set from simulated players (`tests/support/gaming_players.py`), honest ones with
lag, good aim and a steady hand among them; the tests hold the rates that come of it.
"""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import fmean, median

from modules.gaming.anticheat.features import Features
from modules.gaming.anticheat.verdicts import CLEAR, Verdict, detected, either, too_little

MAX_SPEED = 12.0
"""The fastest that the rules let a player move, in units per second."""

_SPEED_TOLERANCE = 1.25
_FEWEST_WINDOWS = 3
_FAST_SHARE = 0.3
_FEWEST_SHOTS = 20
_INHUMAN_ACCURACY, _NEVER_SEEN_ACCURACY = 0.8, 0.9
_FEWEST_HITS = 8
_SNAP_TURN_DEG = 30.0
_SNAP_DEG_PER_S = 2000.0
_SNAP_SHARE = 0.3
_FEWEST_REACTIONS = 8
_INHUMAN_REACTION_MS = 100.0
_FEWEST_INTERVALS = 30
_LONGEST_CYCLE = 8
_SAME_WITHIN_MS = 12.0
_MACRO_SHARE = 0.75
_FEWEST_HIDDEN_SHOTS = 6
_LUCKY_GUESS = 0.35
_UNLIKELY, _IMPROBABLE = 1e-2, 1e-3
_Z_99 = 2.576


def detect_speed_hack(features: Features, max_speed: float = MAX_SPEED) -> Verdict:
    """Find movement faster than the rules allow, over several windows of 3 s."""
    speeds = features.sustained_speeds
    if len(speeds) < _FEWEST_WINDOWS:
        return too_little("windows of movement", len(speeds), _FEWEST_WINDOWS)
    fast = [speed for speed in speeds if speed > max_speed * _SPEED_TOLERANCE]
    share = len(fast) / len(speeds)
    if len(fast) < _FEWEST_WINDOWS or share < _FAST_SHARE:
        return CLEAR
    reason = (
        f"moved at {fmean(fast):.1f} units/s in {len(fast)} of {len(speeds)} windows of 3 s;"
        f" the rules allow {max_speed:.1f}"
    )
    return detected(0.82 + 0.17 * share, reason, share=share, speed=fmean(fast), limit=max_speed)


def detect_aim_bot(features: Features) -> Verdict:
    """Find aim that no hand has: too exact, too sudden, or too soon."""
    signals = (_exact(features), _sudden(features), _too_soon(features))
    found = [signal for signal in signals if signal.detected]
    if found:
        numbers = {name: value for signal in found for name, value in signal.numbers.items()}
        reason = "; ".join(signal.reason for signal in found)
        return detected(either(signal.confidence for signal in found), reason, **numbers)
    known = [signal for signal in signals if signal.finding == "clear"]
    return known[0] if known else signals[0]


def detect_macro_usage(features: Features) -> Verdict:
    """Find a rhythm that repeats to within a few ms, also over a cycle of several inputs.

    One input is taken to be one press: a client that repeats a held key must send it as one.
    """
    intervals = features.input_intervals
    if len(intervals) < _FEWEST_INTERVALS:
        return too_little("intervals between inputs", len(intervals), _FEWEST_INTERVALS)
    shares = {cycle: _repeats(intervals, cycle) for cycle in range(1, _LONGEST_CYCLE + 1)}
    cycle = max(shares, key=lambda length: (shares[length], -length))
    if shares[cycle] < _MACRO_SHARE:
        return CLEAR
    confidence = 0.75 + 0.24 * (shares[cycle] - _MACRO_SHARE) / (1 - _MACRO_SHARE)
    reason = (
        f"{shares[cycle]:.0%} of {len(intervals)} intervals repeat the one {cycle} before"
        f" to within {_SAME_WITHIN_MS:.0f} ms"
    )
    return detected(confidence, reason, repeated=shares[cycle], cycle=cycle)


def detect_wall_hack(features: Features) -> Verdict:
    """Find more hits on targets that could not be seen than guessing brings."""
    shots = features.hidden_shots
    if len(shots) < _FEWEST_HIDDEN_SHOTS:
        return too_little("shots at unseen targets", len(shots), _FEWEST_HIDDEN_SHOTS)
    hits = sum(shots)
    by_luck = _at_least(hits, len(shots), _LUCKY_GUESS)
    if by_luck > _UNLIKELY:
        return CLEAR
    reason = (
        f"hit {hits} of {len(shots)} targets that were out of sight;"
        f" luck explains that once in {1 / by_luck:,.0f} sessions"
    )
    confidence = 0.95 if by_luck <= _IMPROBABLE else 0.6
    return detected(confidence, reason, hits=hits, shots=len(shots), by_luck=by_luck)


def _exact(features: Features) -> Verdict:
    scores = features.accuracy_scores
    if len(scores) < _FEWEST_SHOTS:
        return too_little("aimed shots", len(scores), _FEWEST_SHOTS)
    surely = _lower_bound(sum(scores), len(scores))
    if surely < _INHUMAN_ACCURACY:
        return CLEAR
    reason = f"hit with {sum(scores):.0f} of {len(scores)} aimed shots"
    # A very good shot may come near the first bound: that alone is a suspicion, no proof.
    confidence = 0.85 if surely >= _NEVER_SEEN_ACCURACY else 0.6
    return detected(confidence, reason, accuracy=fmean(scores), shots=len(scores))


def _sudden(features: Features) -> Verdict:
    hits = features.aimed_hits
    if len(hits) < _FEWEST_HITS:
        return too_little("aimed hits", len(hits), _FEWEST_HITS)
    snaps = [
        hit
        for hit in hits
        # deg > deg/s * ms / 1000 needs no division: two inputs may come in the same ms.
        if hit.turn_deg >= _SNAP_TURN_DEG
        and hit.turn_deg * 1000 > _SNAP_DEG_PER_S * hit.turned_in_ms
    ]
    share = len(snaps) / len(hits)
    if share < _SNAP_SHARE:
        return CLEAR
    turn, within_ms = fmean(s.turn_deg for s in snaps), fmean(s.turned_in_ms for s in snaps)
    reason = (
        f"{len(snaps)} of {len(hits)} hits came at once after a turn of {turn:.0f}°"
        f" within {within_ms:.0f} ms on average"
    )
    return detected(0.7 + 0.29 * share, reason, snaps=len(snaps), turn_deg=turn)


def _too_soon(features: Features) -> Verdict:
    reactions = features.reaction_times
    if len(reactions) < _FEWEST_REACTIONS:
        return too_little("reaction times", len(reactions), _FEWEST_REACTIONS)
    usual = median(reactions)
    if usual >= _INHUMAN_REACTION_MS:
        return CLEAR
    return detected(0.85, f"reacts within {usual:.0f} ms as a rule", reaction_ms=usual)


def _repeats(intervals: Sequence[float], cycle: int) -> float:
    """Return the share of intervals that are as long as the one `cycle` before."""
    pairs = list(zip(intervals[cycle:], intervals, strict=False))
    return sum(1 for now, then in pairs if abs(now - then) <= _SAME_WITHIN_MS) / len(pairs)


def _at_least(hits: int, shots: int, chance: float) -> float:
    """Return the binomial probability of that many hits or more by chance."""
    return sum(
        comb(shots, k) * chance**k * (1 - chance) ** (shots - k) for k in range(hits, shots + 1)
    )


def _lower_bound(successes: float, trials: int) -> float:
    """Return Wilson's lower bound of a share, at 99 %."""
    share, z2 = successes / trials, _Z_99**2
    centre = share + z2 / (2 * trials)
    margin = _Z_99 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return (centre - margin) / (1 + z2 / trials)
