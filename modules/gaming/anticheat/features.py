"""What the inputs of one player in one session tell about how he plays. Pure."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

import msgspec

from modules.gaming.anticheat import motion
from modules.gaming.anticheat.observed import Observed, observed

SPEED_WINDOW_MS = 3000.0
_QUICK_MS = 50.0
_FEWEST_REACTIONS = 5
_FEWEST_INTERVALS = 9


class Movement(msgspec.Struct, frozen=True):
    """What changed between two inputs; units, seconds and degrees; None is unknown."""

    speed: float | None
    direction_change: float | None
    acceleration: float | None


class AimedHit(msgspec.Struct, frozen=True):
    """A hit of a shot that had to be aimed: by how much the aim turned just before, how fast."""

    turn_deg: float
    turned_in_ms: float


class Features(msgspec.Struct, frozen=True):
    """Times are ms. `accuracy_scores` has 1 or 0 for each shot that had to be aimed.

    `action_frequency` is inputs in each second that had some, `sustained_speeds` units per
    second over whole windows of 3 s, `hidden_shots` whether shots at unseen targets hit.
    """

    action_frequency: tuple[float, ...] = ()
    reaction_times: tuple[float, ...] = ()
    movement_patterns: tuple[Movement, ...] = ()
    accuracy_scores: tuple[float, ...] = ()
    input_intervals: tuple[float, ...] = ()
    sustained_speeds: tuple[float, ...] = ()
    aimed_hits: tuple[AimedHit, ...] = ()
    hidden_shots: tuple[bool, ...] = ()


def extract_behavioral_features(records: Iterable[Any]) -> Features:
    """Return the features of kept inputs, in whatever order they come."""
    inputs = observed(records)
    shots = [one for one in inputs if one.hit is not None]
    return Features(
        action_frequency=_per_second(inputs),
        reaction_times=tuple(one.reaction_ms for one in inputs if one.reaction_ms is not None),
        movement_patterns=tuple(_movements(inputs)),
        accuracy_scores=tuple(float(bool(one.hit)) for one in shots if one.aim_deg is not None),
        input_intervals=tuple(now.at_ms - before.at_ms for before, now in pairwise(inputs)),
        sustained_speeds=tuple(_sustained_speeds(inputs)),
        aimed_hits=tuple(_aimed_hits(inputs)),
        hidden_shots=tuple(bool(one.hit) for one in shots if one.target_visible is False),
    )


def feature_vector(features: Features) -> tuple[float, ...] | None:
    """Return what the anomaly detector compares, always of the same length and meaning.

    Mean, deviation and minimum of the reaction times; mean and deviation of the intervals and
    the share below 50 ms. None when there is not enough of either.
    """
    reactions, intervals = features.reaction_times, features.input_intervals
    if len(reactions) < _FEWEST_REACTIONS or len(intervals) < _FEWEST_INTERVALS:
        return None
    quick = sum(1 for interval in intervals if interval < _QUICK_MS) / len(intervals)
    return (
        fmean(reactions),
        pstdev(reactions),
        min(reactions),
        fmean(intervals),
        pstdev(intervals),
        quick,
    )


def _per_second(inputs: list[Observed]) -> tuple[float, ...]:
    counts = Counter(int(one.at_ms // 1000) for one in inputs)
    return tuple(float(counts[second]) for second in sorted(counts))


def _movements(inputs: list[Observed]) -> Iterable[Movement]:
    speed_before: float | None = None
    for before, now in pairwise(inputs):
        interval_ms = now.at_ms - before.at_ms
        speed = motion.calculate_speed(before, now, interval_ms)
        yield Movement(
            speed,
            motion.calculate_direction_change(before, now),
            motion.calculate_acceleration(speed_before, speed, interval_ms),
        )
        speed_before = speed


def _sustained_speeds(inputs: list[Observed]) -> Iterable[float]:
    """Yield the speed over each window: what lag holds back and then delivers at once evens out."""
    placed = [one for one in inputs if one.position is not None]
    path = 0.0
    began = placed[0].at_ms if placed else 0.0
    for before, now in pairwise(placed):
        path += motion.calculate_distance(before, now) or 0.0
        lasted_ms = now.at_ms - began
        if lasted_ms >= SPEED_WINDOW_MS:
            yield path / lasted_ms * 1000
            path, began = 0.0, now.at_ms


def _aimed_hits(inputs: list[Observed]) -> Iterable[AimedHit]:
    for before, now in pairwise(inputs):
        turn = motion.calculate_direction_change(before, now)
        if now.hit and turn is not None:
            yield AimedHit(turn, now.at_ms - before.at_ms)
