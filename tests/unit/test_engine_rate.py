"""A rate limit holds for every period, wherever it begins."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract import RateLimit
from tidegate.engine.rate import Chunks, allowance, begun


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 8)), max_size=40),
)
def test_rate_no_period_has_more_than_its_limit(
    limit: int, per: int, arrivals: list[tuple[int, int]]
) -> None:
    """However events come, no window of the period's length holds more than the limit."""
    rate = RateLimit(limit=limit, per=per / 10)
    chunks: Chunks = []
    now_ms, began = 0, []
    for gap_ms, wanted in arrivals:
        now_ms += gap_ms
        count = min(wanted, allowance(rate, chunks, now_ms).free)
        if count:
            chunks = begun(rate, chunks, now_ms, count)
            began += [now_ms] * count

    for start in began:
        assert sum(start <= at < start + per * 100 for at in began) <= limit


def test_rate_says_when_one_more_may_begin() -> None:
    """Exhausted, the next may begin a period after the oldest that counts."""
    rate = RateLimit(limit=2, per=10)
    chunks = begun(rate, begun(rate, [], 1_000, 1), 4_000, 1)

    assert allowance(rate, chunks, 5_000) == (0, 11_000)
    assert allowance(rate, chunks, 11_000) == (1, 11_000)
