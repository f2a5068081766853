"""Calibration of each channel to a tail probability on the series' own history. Pure.

Peaks over a drifting threshold u: u follows the quantile that EXCEED_SHARE of the values pass
(stochastic approximation with the gain mean excess / share, its optimum for an exponential
tail). Excesses e = z - u are given a generalised Pareto tail by their first two moments:

    P(z' >= z) = rate * (1 + shape * e / scale) ** (-1 / shape),   scale = mean * (1 - shape)

with the shape shrunk to 0 (an exponential tail) while few excesses have been seen. Learned
excesses are winsorised, so one fault does not make the next one ordinary.
Warm-up: usable after about 50 values. Arrays are float64[channels, k]; `tails` is
float64[5, channels, k], changed in place.
"""

import numpy as np

from cloud.analytics.layout import CHANNELS, TAIL_FIELDS, Flags, Floats

EXCEED_SHARE = 0.1
MEMORY_ROWS, MEMORY_EXCEEDED = 4000, 400
PRIOR_EXCEEDED, SHAPE_PRIOR = 10.0, 40.0
MAX_SHAPE, MIN_SHAPE = 0.4, 1e-3
WINSOR_MEANS = 8.0
_MIN_MEAN = 1e-2
_LOG10_E = float(np.log10(np.e))
_FIRST = {"threshold": 2.0, "rate": EXCEED_SHARE, "mean": 0.6, "square": 0.72, "exceeded": 0.0}


def first_tails() -> Floats:
    """Return the tails of a series without history, float64[5 * channels]."""
    return np.repeat([_FIRST[field] for field in TAIL_FIELDS], len(CHANNELS))


def log10_tail(tails: Floats, z: Floats) -> Floats:
    """Return log10 of the probability of a value as large as `z`, <= 0."""
    threshold, rate, mean, square, exceeded = tails
    excess = np.maximum(z - threshold, 0.0)
    variance = np.maximum(square - mean * mean, 1e-12)
    shape = 0.5 * (1.0 - mean * mean / variance) * exceeded / (exceeded + SHAPE_PRIOR)
    shape = np.clip(shape, MIN_SHAPE, MAX_SHAPE)
    decay = np.log1p(shape * excess / (mean * (1.0 - shape))) / shape
    below = 1.0 - (1.0 - rate) * np.minimum(z / np.maximum(threshold, 1e-12), 1.0)
    logs: Floats = np.minimum(np.log10(below) - decay * _LOG10_E, 0.0)
    return logs


def learn(tails: Floats, z: Floats, *, counted: Flags, rows: Floats) -> None:
    """Take values into the tails where `counted`; `rows` is how many were counted before."""
    threshold, rate, mean, square, exceeded = tails
    over = (z > threshold) & counted
    weight = counted * np.maximum(1.0 / (rows + PRIOR_EXCEEDED), 1.0 / MEMORY_ROWS)
    exceeded += over
    share = over * np.maximum(1.0 / (exceeded + PRIOR_EXCEEDED), 1.0 / MEMORY_EXCEEDED)
    excess = np.minimum(z - threshold, WINSOR_MEANS * mean)
    threshold += weight * mean * (over / EXCEED_SHARE - 1.0)
    np.maximum(threshold, 0.0, out=threshold)
    rate += weight * (over - rate)
    mean += share * (excess - mean)
    np.maximum(mean, _MIN_MEAN, out=mean)
    square += share * (excess * excess - square)
