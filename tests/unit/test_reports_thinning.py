"""Fewer points for a chart: what must survive."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.reports.thinning import Envelope, column_of, envelope, extremes, runs

FROM_MS, TO_MS, COLUMNS = 1_000, 101_000, 3
POINTS = st.lists(
    st.tuples(st.integers(FROM_MS, TO_MS - 1), st.floats(allow_nan=False, allow_infinity=False)),
    unique_by=lambda point: point[0],
    max_size=60,
).map(sorted)


def thin(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Thin points to the columns of the test."""
    times, values = [ts for ts, _ in points], [value for _, value in points]
    return extremes(times, values, from_ms=FROM_MS, to_ms=TO_MS, columns=COLUMNS)


@given(POINTS)
def test_extremes_keep_the_highest_and_lowest_of_each_column(
    points: list[tuple[int, float]],
) -> None:
    """No spike is lost: each column's range is the same before and after."""

    def ranges(of: list[tuple[int, float]]) -> dict[int, tuple[float, float]]:
        columns: dict[int, list[float]] = {}
        for ts, value in of:
            column = column_of(ts, from_ms=FROM_MS, to_ms=TO_MS, columns=COLUMNS)
            columns.setdefault(column, []).append(value)
        return {column: (min(values), max(values)) for column, values in columns.items()}

    assert ranges(thin(points)) == ranges(points)


@given(POINTS)
def test_extremes_are_few_ordered_and_real(points: list[tuple[int, float]]) -> None:
    """At most two points a column, in order of time, and none that was not there."""
    kept = thin(points)

    assert len(kept) <= 2 * COLUMNS
    assert kept == sorted(kept)
    assert set(kept) <= set(points)


@given(POINTS.filter(bool))
def test_envelope_keeps_the_range_of_all_rows(points: list[tuple[int, float]]) -> None:
    """The lowest low and the highest high survive, in order of time, one row a column."""
    times, values = [ts for ts, _ in points], [value for _, value in points]

    joined = envelope(
        Envelope(times, values, values, values), from_ms=FROM_MS, to_ms=TO_MS, columns=COLUMNS
    )

    assert (min(joined.low), max(joined.high)) == (min(values), max(values))
    assert joined.ts_ms == sorted(joined.ts_ms)
    assert len(joined.ts_ms) <= COLUMNS


def test_runs_end_where_a_gap_begins() -> None:
    """A line is drawn for each stretch, so that a silence stays empty."""
    times = [0, 10, 20, 90, 100]

    stretches = [times[run] for run in runs(times, tolerance_ms=30)]

    assert stretches == [[0, 10, 20], [90, 100]]
    assert [times[run] for run in runs(times, tolerance_ms=None)] == [times]
    assert list(runs([], tolerance_ms=30)) == []
