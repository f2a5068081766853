"""Line charts as small SVGs by matplotlib. Imported only where PDFs are drawn.

The same chart gives the same bytes: no dates, no random ids.
"""

import io
import math
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cloud.reports.figures import Scale
from cloud.reports.gaps import rhythm_of
from cloud.reports.model import Samples
from cloud.reports.period import Period
from cloud.reports.thinning import Envelope, envelope, extremes, runs
from wire.events import Severity

mpl.use("svg")

_WIDTH_IN, _HEIGHT_IN = 2.30, 1.12
_COLUMNS = 160
_LARGE, _MAX_DECIMALS = 1e7, 4
_LINE, _BAND, _GRID, _TEXT = "#0b6e8f", "#a9d3de", "#e3e8ee", "#5b6876"
_SHADE: dict[Severity, str] = {"info": "#3b7dd8", "warning": "#f0a202", "critical": "#d1343f"}
_MS_PER_DAY = 86_400_000
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tidegate-report",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 6,
    "path.simplify": True,
    "timezone": "UTC",
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


class Shade(NamedTuple):
    """A stretch of time in which an alert was open, Unix ms."""

    from_ms: int
    to_ms: int
    severity: Severity


def line_chart(
    samples: Samples,
    *,
    period: Period,
    zone: tzinfo,
    scale: Scale,
    shades: Sequence[Shade] = (),
) -> str:
    """Draw one metric over the whole period; silences stay empty, alerts lie behind the line."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN))
        axes = figure.add_axes((0.13, 0.16, 0.81, 0.79))
        _shade(axes, shades, period)
        (_draw_steps if samples.step_ms else _draw_points)(axes, samples, period, scale)
        _dress(axes, period, zone)
        return _svg(figure)


def _draw_points(axes: Axes, samples: Samples, period: Period, scale: Scale) -> None:
    rhythm = rhythm_of(samples.ts_ms)
    for run in runs(samples.ts_ms, tolerance_ms=rhythm.tolerance_ms if rhythm else None):
        points = extremes(
            samples.ts_ms[run],
            samples.mean[run],
            from_ms=period.from_ms,
            to_ms=period.to_ms,
            columns=_COLUMNS,
        )
        x = [ts / _MS_PER_DAY for ts, _ in points]
        y = [value / scale.divisor for _, value in points]
        _draw_line(axes, x, y)


def _draw_steps(axes: Axes, samples: Samples, period: Period, scale: Scale) -> None:
    rhythm = rhythm_of(samples.ts_ms, step_ms=samples.step_ms)
    for run in runs(samples.ts_ms, tolerance_ms=rhythm.tolerance_ms if rhythm else None):
        rows = Envelope(samples.ts_ms[run], samples.low[run], samples.high[run], samples.mean[run])
        thin = envelope(rows, from_ms=period.from_ms, to_ms=period.to_ms, columns=_COLUMNS)
        x = [max(ts + samples.step_ms / 2, period.from_ms) / _MS_PER_DAY for ts in thin.ts_ms]
        low, high, mean = (
            [value / scale.divisor for value in column]
            for column in (thin.low, thin.high, thin.mean)
        )
        axes.fill_between(x, low, high, color=_BAND, linewidth=0.4)
        _draw_line(axes, x, mean)


def _draw_line(axes: Axes, x: list[float], y: list[float]) -> None:
    marker = "o" if len(x) == 1 else ""  # a lone point has no line to be seen by
    axes.plot(x, y, color=_LINE, linewidth=0.7, marker=marker, markersize=1.6)


def _shade(axes: Axes, shades: Sequence[Shade], period: Period) -> None:
    hair = (period.to_ms - period.from_ms) / _COLUMNS
    for shade in shades:
        start = max(shade.from_ms, period.from_ms)
        end = min(max(shade.to_ms, start + hair), period.to_ms)
        axes.axvspan(
            start / _MS_PER_DAY,
            end / _MS_PER_DAY,
            color=_SHADE[shade.severity],
            alpha=0.18,
            linewidth=0,
        )


def _dress(axes: Axes, period: Period, zone: tzinfo) -> None:
    axes.set_xlim(period.from_ms / _MS_PER_DAY, period.to_ms / _MS_PER_DAY)
    axes.margins(y=0.12)
    _even_out_flat(axes)
    locator = AutoDateLocator(tz=zone, minticks=2, maxticks=5)  # type: ignore[no-untyped-call] # matplotlib's
    formatter = DateFormatter(_time_format(period), tz=zone)  # type: ignore[no-untyped-call] # matplotlib's
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    _label_y(axes)
    axes.grid(visible=True, color=_GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=2, labelsize=6, labelcolor=_TEXT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(color="#b8c2cc", linewidth=0.6)


def _even_out_flat(axes: Axes) -> None:
    low, high = axes.get_ylim()
    middle = (low + high) / 2
    least = max(abs(middle) * 0.01, 1e-6)
    if high - low < least:
        axes.set_ylim(middle - least, middle + least)


def _time_format(period: Period) -> str:
    length_ms = period.to_ms - period.from_ms
    if length_ms <= _MS_PER_DAY // 288:
        return "%H:%M:%S"
    return "%H:%M" if length_ms <= _MS_PER_DAY * 3 // 2 else "%d %b"


def _label_y(axes: Axes) -> None:
    """Write all labels of the axis with the decimals that its step needs."""
    low, high = axes.get_ylim()
    ticks = [float(t) for t in MaxNLocator(nbins=3, min_n_ticks=2).tick_values(low, high)]
    step = ticks[1] - ticks[0]
    decimals = next(
        (d for d in range(_MAX_DECIMALS + 1) if math.isclose(round(step, d), step)), None
    )
    labels = [
        f"{tick + 0.0:,.{decimals}f}"
        if abs(tick) < _LARGE and decimals is not None
        else f"{tick:.1e}"
        for tick in ticks
    ]
    axes.set_yticks(ticks, [label.replace("-", "\N{MINUS SIGN}") for label in labels])
    axes.set_ylim(low, high)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
