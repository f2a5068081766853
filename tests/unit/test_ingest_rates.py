"""A bucket of tokens for each key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.http.rates import Rates


def test_rates_give_a_burst_then_one_by_one() -> None:
    """What is refused takes nothing, and is told how long to wait."""
    rates = Rates(2.0, 3)

    assert [rates.wait_s("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rates.wait_s("a", 0.25) == pytest.approx(0.25)
    assert rates.wait_s("a", 0.5) == 0.0
    assert rates.wait_s("a", 0.5) == pytest.approx(0.5)


def test_rates_remember_so_many_keys() -> None:
    """Who came longest ago is forgotten, and begins anew."""
    rates = Rates(1.0, 1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        rates.wait_s(key, 0.0)

    assert len(rates) == 2
    assert rates.wait_s("a", 0.0) > 0
    assert rates.wait_s("b", 0.0) == 0.0


@given(st.lists(st.floats(-1.0, 3.0), min_size=1, max_size=200), st.integers(1, 5))
def test_rates_never_let_more_through(steps: list[float], burst: int) -> None:
    """However time goes, also backwards: at most the burst and what the time gave."""
    rates, now_s, latest_s, taken = Rates(2.0, burst), 0.0, 0.0, 0
    forward_s = 0.0
    for step in steps:
        now_s += step
        forward_s += max(0.0, step)
        latest_s = max(latest_s, now_s)
        taken += rates.wait_s("a", now_s) == 0.0

    assert taken <= burst + 2.0 * forward_s + 1e-6
