"""How unlike its past a value is, in five ways. Pure.

All arrays hold one element a series. `state` is float64[WIDTH, k], changed in place.

    jump      |x - last value| / its mean
    residual  |x - level| / its mean; the level is an exponentially weighted mean (weight 0.1)
    shift     |short mean - slow mean| / its mean (weights 0.2 and 0.01)
    noise     recent mean jump / mean jump - 1
    range     distance outside of the range seen so far / mean jump

Scales are exponentially weighted means of magnitudes, each winsorised at 5 times the scale, so
that a fault hardly teaches. A value equal to the one before says nothing about the noise and
teaches no scale. Assumes no season: a season widens scales and tails instead.
Cost: about 30 array operations a batch, whatever its length.
"""

from typing import NamedTuple

import numpy as np

from cloud.analytics.layout import SCALE_COLUMNS, VALUE_COLUMNS, Column, Flags, Floats

LEVEL_WEIGHT, SHORT_WEIGHT, SLOW_WEIGHT, RECENT_WEIGHT = 0.1, 0.2, 0.01, 0.1
SCALE_WEIGHT, RANGE_WEIGHT = 1 / 150, 1 / 5000
BURN_IN_ROWS = 16
WINSOR_SCALES, RECENT_WINSOR_SCALES = 5.0, 8.0
OUTLIER_ROWS = 30
GAP_INTERVALS, INTERVAL_WEIGHT, SETTLING_ROWS = 20.0, 0.02, 32.0
MAX_Z = 1e6
_RELATIVE_FLOOR, _ABSOLUTE_FLOOR = 1e-9, 1e-300


class Measured(NamedTuple):
    """One batch seen by all channels; `z` is float64[channels, k], >= 0."""

    z: Floats
    magnitudes: Floats
    scales: Floats
    residual: Floats
    moved: Flags


def resume(state: Floats, times_s: Floats, values: Floats) -> None:
    """Begin the levels anew after a gap of more than GAP_INTERVALS usual intervals.

    How noisy a series is it has not forgotten, but where it was before a long silence says
    little about where it is now. Its scores rest until the new levels have settled.
    """
    elapsed_s = times_s - state[Column.TIME_S]
    usual_s = state[Column.INTERVAL_S]
    known = state[Column.ROWS] > 0
    gap = known & (usual_s > 0) & (elapsed_s > GAP_INTERVALS * usual_s)
    for column in (Column.LAST, Column.LEVEL, Column.SHORT, Column.SLOW):
        state[column] = np.where(gap, values, state[column])
    state[Column.LOW] = np.where(gap, np.minimum(state[Column.LOW], values), state[Column.LOW])
    state[Column.HIGH] = np.where(gap, np.maximum(state[Column.HIGH], values), state[Column.HIGH])
    state[Column.RECENT_JUMP] = np.where(gap, state[Column.JUMP_SCALE], state[Column.RECENT_JUMP])
    state[Column.OUTLIERS] = np.where(gap, 0.0, state[Column.OUTLIERS])
    state[Column.SETTLING] = np.where(gap, SETTLING_ROWS, np.maximum(state[Column.SETTLING] - 1, 0))
    learns = known & ~gap & (elapsed_s > 0)
    weight = np.where(usual_s > 0, INTERVAL_WEIGHT, 1.0) * learns
    state[Column.INTERVAL_S] += weight * (elapsed_s - usual_s)
    state[Column.TIME_S] = np.where(known, np.maximum(state[Column.TIME_S], times_s), times_s)


def begin(state: Floats, values: Floats) -> None:
    """Start the series that have had no value yet."""
    fresh = state[Column.ROWS] == 0
    state[VALUE_COLUMNS] = np.where(fresh, values, state[VALUE_COLUMNS])
    state[Column.ROWS] += 1


def measure(state: Floats, values: Floats) -> Measured:
    """Measure values against the past; takes them into the short means, into nothing else."""
    jump = np.abs(values - state[Column.LAST])
    residual = values - state[Column.LEVEL]
    floor = _RELATIVE_FLOOR * np.abs(state[Column.LEVEL]) + _ABSOLUTE_FLOOR
    scales = np.maximum(state[SCALE_COLUMNS], floor)
    _follow_short_means(state, jump, residual, scales=scales)
    shift = np.abs(state[Column.SHORT] - state[Column.SLOW])
    beyond = np.maximum(values - state[Column.HIGH], state[Column.LOW] - values)
    magnitudes = np.stack([jump, np.abs(residual), shift])
    noise = np.maximum(_ratio(state[Column.RECENT_JUMP], scales[0]) - 1.0, 0.0)
    outside = _ratio(np.maximum(beyond, 0.0), scales[0])
    z = np.vstack([_ratio(magnitudes, scales), noise, outside])
    return Measured(z, magnitudes, scales, residual, jump > 0)


def learn(state: Floats, values: Floats, measured: Measured) -> None:
    """Take the measured values into levels, scales and range."""
    state[Column.LEARNED] += measured.moved
    _learn_scales(state, measured)
    _follow_levels(state, measured)
    _widen_range(state, values, measured.scales[0])
    state[Column.LAST] = values


def _ratio(magnitudes: Floats, scales: Floats) -> Floats:
    """Divide without overflow; at most MAX_Z."""
    ratio: Floats = np.minimum(magnitudes, MAX_Z * scales) / scales
    return ratio


def _follow_short_means(state: Floats, jump: Floats, residual: Floats, *, scales: Floats) -> None:
    reach = RECENT_WINSOR_SCALES * scales
    young = state[Column.LEARNED] < BURN_IN_ROWS
    near = np.where(young, residual, np.clip(residual, -reach[1], reach[1]))
    state[Column.SHORT] += SHORT_WEIGHT * (state[Column.LEVEL] + near - state[Column.SHORT])
    ordinary = np.where(young, jump, np.minimum(jump, reach[0]))
    state[Column.RECENT_JUMP] += RECENT_WEIGHT * (ordinary - state[Column.RECENT_JUMP])


def _learn_scales(state: Floats, measured: Measured) -> None:
    learned = state[Column.LEARNED]
    weight = measured.moved * np.maximum(1.0 / np.maximum(learned, 1.0), SCALE_WEIGHT)
    capped = np.minimum(measured.magnitudes, WINSOR_SCALES * measured.scales)
    seen = np.where(learned <= BURN_IN_ROWS, measured.magnitudes, capped)
    state[SCALE_COLUMNS] += weight * (seen - state[SCALE_COLUMNS])


def _follow_levels(state: Floats, measured: Measured) -> None:
    """Move the levels; after OUTLIER_ROWS outliers in a row the new level is believed."""
    reach = WINSOR_SCALES * measured.scales[1]
    outlying = np.abs(measured.residual) > reach
    young = state[Column.LEARNED] <= BURN_IN_ROWS
    step = np.where(young, measured.residual, np.clip(measured.residual, -reach, reach))
    state[Column.LEVEL] += LEVEL_WEIGHT * step
    slow_weight = np.maximum(SLOW_WEIGHT, 1.0 / state[Column.ROWS])
    state[Column.SLOW] += slow_weight * (state[Column.SHORT] - state[Column.SLOW])
    state[Column.OUTLIERS] = np.where(outlying, state[Column.OUTLIERS] + 1, 0.0)
    believed = state[Column.OUTLIERS] >= OUTLIER_ROWS
    arrived = state[Column.LEVEL] + measured.residual - LEVEL_WEIGHT * step
    for column in (Column.LEVEL, Column.SHORT, Column.SLOW):
        state[column] = np.where(believed, arrived, state[column])


def _widen_range(state: Floats, values: Floats, jump_scale: Floats) -> None:
    """Widen the range by a winsorised step, and let it shrink towards the level very slowly."""
    young = state[Column.LEARNED] <= BURN_IN_ROWS
    reach = np.where(young, np.inf, WINSOR_SCALES * jump_scale)
    level = state[Column.LEVEL]
    low = state[Column.LOW] + RANGE_WEIGHT * (level - state[Column.LOW])
    high = state[Column.HIGH] + RANGE_WEIGHT * (level - state[Column.HIGH])
    state[Column.LOW] = np.minimum(low, np.maximum(values, low - reach))
    state[Column.HIGH] = np.maximum(high, np.minimum(values, high + reach))
