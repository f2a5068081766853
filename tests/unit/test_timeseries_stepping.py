"""Aggregates over steps that stores without them make of the points."""

import math

import pytest

from cloud.timeseries.port import Aggregate
from cloud.timeseries.stepping import stepped


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_stepped_sum_that_fits_no_float_is_infinite(aggregate: Aggregate) -> None:
    """As in DuckDB: what devices send breaks no answer."""
    assert stepped([(0, 1e308), (1, 1e308)], 10, aggregate) == [(0, math.inf)]


def test_stepped_sum_is_exact() -> None:
    """However many small numbers there are, and whatever their order."""
    assert stepped([(0, 0.1)] * 10, 10, "sum") == [(0, 1.0)]
