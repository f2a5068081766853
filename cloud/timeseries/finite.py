"""What no store takes as a number. Pure."""

import math
from itertools import chain
from typing import Any

from cloud.timeseries.port import PointsRejected
from wire.points import Rows


def check_finite(rows: Rows) -> None:
    """Raise `PointsRejected` when a number is not finite, or fits no float of 64 bits."""
    try:
        is_finite = _is_sum_finite(rows) or all(map(math.isfinite, _numbers(rows)))
    except OverflowError as exc:
        raise PointsRejected("a number does not fit a float of 64 bits") from exc
    if not is_finite:
        raise PointsRejected("a number is not finite")


def _is_sum_finite(rows: Rows) -> bool:
    """Return whether the sum is finite, and with it every number; texts have none."""
    values: Any = chain.from_iterable(rows.values)
    try:
        return math.isfinite(sum(values, 0.0))
    except TypeError:
        return False


def _numbers(rows: Rows) -> Any:
    return (value for value in chain.from_iterable(rows.values) if not isinstance(value, str))
