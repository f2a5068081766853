"""What alerts again and again is no anomaly: a compressor that switches, a valve, a batch. Pure.

Each channel counts its alerts of the last rows (decaying over MEMORY_ROWS) and follows their
size. From the fifth on, a value up to twice as large is given at least the probability with
which such alerts came:

    P >= (alerts - FREE_ALERTS) / MEMORY_ROWS

`habits` is float64[2, channels, k] (alerts, size), changed in place.
"""

import numpy as np

from cloud.analytics.layout import Flags, Floats

MEMORY_ROWS = 4000
FREE_ALERTS = 4.0
FAMILIAR_FACTOR = 2.0
SIZE_DECAY = 0.9
_TOOK_PART_BELOW = -3.0


def log10_floor(habits: Floats, z: Floats) -> Floats:
    """Return the log10 of the least probability that habit leaves a value; -inf for none."""
    alerts, size = habits
    habitual = (alerts > FREE_ALERTS) & (z <= FAMILIAR_FACTOR * size)
    rate = np.where(habitual, (alerts - FREE_ALERTS) / MEMORY_ROWS, 0.0)
    with np.errstate(divide="ignore"):
        floor: Floats = np.log10(rate)
    return floor


def learn(habits: Floats, z: Floats, *, logs: Floats, alerting: Flags) -> None:
    """Count an alert for the channels that took part in it; `logs` are their log10 tails.

    `alerting` is bool[k]: where the tails alone would alert outside of a cooldown, whether
    it is told or forgiven as a habit, so that a habit is kept while it goes on.
    """
    alerts, size = habits
    took_part = alerting & (logs < _TOOK_PART_BELOW)
    alerts *= 1.0 - 1.0 / MEMORY_ROWS
    alerts += took_part
    size[:] = np.where(took_part, np.maximum(SIZE_DECAY * size, z), size)
