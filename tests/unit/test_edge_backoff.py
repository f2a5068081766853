"""Delays between connection attempts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.backoff import reconnecting


@given(st.integers())
def test_backoff_grows_within_its_bounds_and_resets(seed: int) -> None:
    """Delays lie between the bounds, may reach the longest, and begin short again."""
    backoff = reconnecting(random.Random(seed), min_s=1.0, max_s=60.0)

    delays = [backoff.next_s() for _ in range(200)]
    backoff.reset()

    assert all(1.0 <= delay <= 60.0 for delay in delays)
    assert all(delay <= 2.0 ** (n + 1) for n, delay in enumerate(delays[:5]))
    assert max(delays) > 30.0
    assert backoff.next_s() <= 2.0


def test_backoff_differs_between_devices() -> None:
    """Two devices do not come back at the same moment."""
    one, other = (reconnecting(random.Random(seed), min_s=1.0, max_s=60.0) for seed in (1, 2))

    assert one.next_s() != other.next_s()
