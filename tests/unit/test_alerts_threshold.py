"""One threshold rule on one series: breach, `for`, hysteresis, lateness."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts.rules import Scope, ThresholdRule
from cloud.alerts.threshold import SeriesState, observe


def _rule(*, for_ms: int = 0, clear: float = 80.0, below: bool = False) -> ThresholdRule:
    if below:
        return ThresholdRule("low", "info", Scope(), "m", "below", -90.0, -clear, for_ms)
    return ThresholdRule("high", "info", Scope(), "m", "above", 90.0, clear, for_ms)


def _history(rule: ThresholdRule, points: list[tuple[int, float]]) -> list[tuple[int, bool]]:
    """Return when the condition changed, and to what."""
    state = SeriesState(points[0][0] if points else 0)
    return [(ts, state.holds) for ts, value in points if observe(rule, state, ts, value)]


def test_observe_begins_beyond_the_limit_and_ends_at_clear() -> None:
    """Between limit and clear what was true stays true."""
    values = [89.0, 90.0, 90.1, 85.0, 80.1, 80.0, 85.0, 90.0, 91.0]

    changes = _history(_rule(), list(enumerate(values)))

    assert changes == [(2, True), (5, False), (8, True)]


def test_observe_mirrors_for_a_limit_below() -> None:
    """`below` is `above` upside down."""
    values = [-89.0, -90.1, -85.0, -80.0]

    assert _history(_rule(below=True), list(enumerate(values))) == [(1, True), (3, False)]


def test_observe_waits_for_the_duration_in_event_time() -> None:
    """The breach must last for `for_ms` by the points' own times."""
    points = [(0, 95.0), (9_999, 95.0), (10_000, 95.0)]

    assert _history(_rule(for_ms=10_000), points) == [(10_000, True)]


def test_observe_starts_waiting_anew_after_a_point_that_is_no_breach() -> None:
    """A run of breaches is ended by any other point, also by one above clear."""
    points = [(0, 95.0), (5_000, 85.0), (10_000, 95.0), (15_000, 95.0), (20_000, 95.0)]

    assert _history(_rule(for_ms=10_000), points) == [(20_000, True)]


def test_observe_ignores_points_older_than_the_newest() -> None:
    """A late point neither ends nor begins a condition."""
    points = [(1_000, 95.0), (500, 10.0), (2_000, 10.0), (1_500, 99.0)]

    assert _history(_rule(), points) == [(1_000, True), (2_000, False)]


@given(st.lists(st.floats(-200, 200), max_size=60), st.integers(0, 5), st.booleans())
def test_observe_alternates_and_never_flips_inside_the_band(
    values: list[float],
    for_ms: int,
    below: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Every change is the opposite of the last one and happens outside of the band."""
    rule = _rule(for_ms=for_ms, below=below)
    low, high = (-90.0, -80.0) if below else (80.0, 90.0)

    changes = _history(rule, list(enumerate(values)))

    assert [holds for _, holds in changes] == [at % 2 == 0 for at in range(len(changes))]
    assert all(not low < values[ts] < high for ts, _ in changes)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 100)), max_size=60))
def test_observe_sees_only_what_moves_time_forward(points: list[tuple[int, float]]) -> None:
    """With late points mixed in, the outcome is that of the points without them."""
    newest, in_order = -1, []
    for ts, value in points:
        if ts >= newest:
            newest = ts
            in_order.append((ts, value))

    assert _history(_rule(for_ms=3), points) == _history(_rule(for_ms=3), in_order)
