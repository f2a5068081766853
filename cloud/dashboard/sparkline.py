"""The small picture of a series' recent past: an SVG path, drawn with its gaps."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 120, 28
_MARGIN = 2.0
_GAP_STEPS = 2.5
_ENOUGH_STEPS = 20


class Window(NamedTuple):
    """The time a sparkline covers: Unix ms, and the distance of its points in ms."""

    from_ms: int
    to_ms: int
    step_ms: int


def narrowed(window: Window, earliest_ms: int | None, step_ms: int) -> Window | None:
    """Return a finer window that begins with the data of a site that has just begun.

    None when there are enough points (or none at all), so the window is right as it is.
    """
    if earliest_ms is None or window.to_ms - earliest_ms > _ENOUGH_STEPS * window.step_ms:
        return None
    return Window(min(earliest_ms, window.to_ms - _ENOUGH_STEPS * step_ms), window.to_ms, step_ms)


def sparkline(points: Sequence[tuple[int, float]], window: Window) -> str:
    """Return the `d` of an SVG path of WIDTH by HEIGHT, '' without points.

    Points are in order of time. Where more than two steps have no point the line is broken, a
    flat series is drawn in the middle.
    """
    inside = [(ts, value) for ts, value in points if window.from_ms <= ts <= window.to_ms]
    if not inside:
        return ""
    low = min(value for _, value in inside)
    span = max(value for _, value in inside) - low
    commands = []
    previous_ms: int | None = None
    for ts, value in inside:
        share = (value - low) / span if span > 0 else 0.5
        x = (ts - window.from_ms) / (window.to_ms - window.from_ms) * WIDTH
        y = HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)
        broken = previous_ms is None or ts - previous_ms > _GAP_STEPS * window.step_ms
        commands.append(f"{'M' if broken else 'L'}{x:.1f} {y:.1f}")
        previous_ms = ts
    return "".join(commands)
