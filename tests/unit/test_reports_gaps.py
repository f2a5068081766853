"""Silences are found from a series' own rhythm."""

from random import Random

import pytest

from cloud.reports.gaps import Gap, covered_share, find_gaps
from cloud.reports.period import Period

PERIOD = Period(0, 100_000)


def test_steady_points_have_no_gap() -> None:
    """One point a second over the whole period covers it."""
    gaps = find_gaps(range(0, 100_000, 1_000), PERIOD)

    assert gaps == []
    assert covered_share(gaps, PERIOD) == 1.0


def test_silences_within_and_at_the_edges_are_gaps() -> None:
    """What is missing at the start, in the middle and at the end is found."""
    times = [ts for ts in range(20_000, 80_000, 1_000) if not 40_000 < ts < 60_000]

    gaps = find_gaps(times, PERIOD)

    assert gaps == [Gap(0, 20_000), Gap(41_000, 60_000), Gap(80_000, 100_000)]
    assert covered_share(gaps, PERIOD) == pytest.approx(0.41)


def test_jitter_and_single_losses_are_no_gap() -> None:
    """A late point, or one that was lost, does not interrupt the rhythm."""
    rng = Random(7)
    times = [ts + rng.randrange(400) for ts in range(0, 100_000, 1_000) if ts != 50_000]

    assert find_gaps(times, PERIOD) == []


@pytest.mark.parametrize("times", [[], [5], [5, 10]])
def test_too_few_points_tell_nothing(times: list[int]) -> None:
    """Without a rhythm nobody can say what is missing."""
    assert find_gaps(times, PERIOD) is None
