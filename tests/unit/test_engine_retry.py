"""Retry delays follow the policy."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract import Retry
from tidegate.engine.retry import delay_s


def test_retry_without_jitter_doubles_up_to_the_cap() -> None:
    """The n-th retry waits min(cap, base * 2 ** (n - 1)); the last attempt has none."""
    policy = Retry(attempts=6, base=1.0, cap=5.0, jitter=False)

    delays = [delay_s(policy, attempt, Random(1)) for attempt in range(1, 7)]

    assert delays == [1.0, 2.0, 4.0, 5.0, 5.0, None]


@given(st.integers(1, 10_000), st.integers())
def test_retry_jitter_stays_within_the_ceiling(attempt: int, seed: int) -> None:
    """Full jitter draws from 0 to the ceiling, for any attempt."""
    delay = delay_s(Retry(attempts=20_000, cap=300.0), attempt, Random(seed))

    assert delay is not None
    assert 0 <= delay <= min(300.0, 2.0 ** min(attempt - 1, 9))
