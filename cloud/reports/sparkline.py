"""A word-sized line for a table's cell, as SVG. Pure."""

from collections.abc import Sequence

from cloud.reports.period import Period
from cloud.reports.thinning import column_of, extremes, runs

_WIDTH, _HEIGHT, _MARGIN = 96, 18, 1.5
_COLUMNS = 48


def sparkline(
    ts_ms: Sequence[int],
    values: Sequence[float],
    *,
    period: Period,
    tolerance_ms: float | None = None,
) -> str:
    """Draw the values over the whole period; gaps longer than `tolerance_ms` stay empty."""
    from_ms, to_ms = period
    points = extremes(ts_ms, values, from_ms=from_ms, to_ms=to_ms, columns=_COLUMNS)
    times = [ts for ts, _ in points]
    low = min((value for _, value in points), default=0.0)
    span = max((value for _, value in points), default=0.0) - low

    def place(point: tuple[int, float]) -> str:
        x = column_of(point[0], from_ms=from_ms, to_ms=to_ms, columns=_WIDTH * 10) / 10
        share = (point[1] - low) / span if span else 0.5
        return f"{x:g} {_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN):.1f}"

    # Thinning widens the distance between neighbours to up to two columns.
    widened = 2 * (to_ms - from_ms) / _COLUMNS
    tolerance = None if tolerance_ms is None else max(tolerance_ms, widened)
    lines = ["M" + "L".join(map(place, points[run])) for run in runs(times, tolerance_ms=tolerance)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><path d="{"".join(lines)}" fill="none" '
        'stroke="#0b6e8f" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round"/></svg>'
    )
