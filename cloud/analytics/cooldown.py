"""After an alert: quiet for a while, so that one event is told once. Pure."""

import numpy as np

from cloud.analytics.layout import Floats


class Cooldown:
    """Holds scores under the threshold for `rows` samples after each alert.

    Example:
        >>> left = np.zeros(1)
        >>> cooldown = Cooldown(threshold=0.5, rows=2)
        >>> [float(cooldown.apply(np.array([s]), left)[0]) for s in (0.9, 0.9, 0.9, 0.9)]
        [0.9, 0.49, 0.49, 0.9]
    """

    def __init__(self, threshold: float, rows: int) -> None:
        self._threshold = threshold
        self._rows = float(rows)
        self._ceiling = 0.98 * threshold

    def apply(self, scores: Floats, left: Floats) -> Floats:
        """Return the scores to tell; `left` (samples of quiet to come) is changed in place."""
        told = np.where(left > 0, np.minimum(scores, self._ceiling), scores)
        left[:] = np.where(told >= self._threshold, self._rows, np.maximum(left - 1.0, 0.0))
        return told
