"""Waits before trying again."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from wire.backoff import Backoff, ceiling_s, delay_s


def test_backoff_ceiling_doubles_up_to_the_cap() -> None:
    """The ceiling is base, twice that, … and never above the cap, however often it failed."""
    ceilings = [ceiling_s(failures, base_s=1.0, cap_s=10.0) for failures in (1, 2, 3, 4, 5, 10**9)]

    assert ceilings == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert ceiling_s(0, base_s=1.0, cap_s=10.0) == 1.0


@given(st.integers(1, 100), st.integers())
def test_backoff_delay_lies_between_floor_and_ceiling(failures: int, seed: int) -> None:
    """No wait is shorter than the floor or longer than the ceiling."""
    wait_s = delay_s(failures, Random(seed), base_s=2.0, cap_s=60.0, floor_s=1.0)

    assert 1.0 <= wait_s <= ceiling_s(failures, base_s=2.0, cap_s=60.0)


def test_backoff_delay_uses_the_whole_range() -> None:
    """Full jitter: waits after the same failure come from everywhere below the ceiling."""
    rng = Random(7)
    waits = sorted(delay_s(4, rng, base_s=1.0, cap_s=60.0) for _ in range(1000))

    assert waits[0] < 0.1
    assert 3.5 < waits[500] < 4.5
    assert waits[-1] > 7.9


def test_backoff_delay_never_falls_below_a_floor_above_the_cap() -> None:
    """A floor that is higher than the cap is kept."""
    assert delay_s(1, Random(7), base_s=1.0, cap_s=2.0, floor_s=5.0) == 5.0


@given(st.integers())
def test_backoff_counts_failures_until_it_is_reset(seed: int) -> None:
    """The n-th wait of a row is below base times 2^(n-1); after a reset it is short again."""
    backoff = Backoff(Random(seed), base_s=1.0, cap_s=60.0)

    waits = [backoff.next_s() for _ in range(200)]
    failures = backoff.failures
    backoff.reset()

    assert failures == 200
    assert all(wait <= min(2.0**n, 60.0) for n, wait in enumerate(waits[:10]))
    assert 30.0 < max(waits) <= 60.0
    assert backoff.next_s() <= 1.0
