"""What no store takes as a number. Pure."""

import math
from collections.abc import Iterable

from cloud.timeseries.port import PointsRejected
from wire.messages import Value


def check_finite(values: Iterable[Value]) -> None:
    """Raise `PointsRejected` when a number is not finite, or fits no float of 64 bits."""
    numbers = (value for value in values if not isinstance(value, str))
    try:
        is_finite = all(map(math.isfinite, numbers))
    except OverflowError as exc:
        raise PointsRejected("a number does not fit a float of 64 bits") from exc
    if not is_finite:
        raise PointsRejected("a number is not finite")
