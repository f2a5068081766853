"""How numbers, times and ages read on a page: pure functions with sensible digits and units."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from wire.messages import Value
from wire.units import unit_of

NOTHING = _DASH = "\N{EN DASH}"
_TEXT_CHARS = 60
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_ONE_DECIMAL = frozenset({"%", "°C"})
_SCALED = frozenset({"B", "B/s"})
_PREFIXES = ("", "k", "M", "G", "T", "P")
_KILO = 1_000.0
_LONG_S = 120.0
_GROUPED, _TENTHS, _TINY = 1_000.0, 100.0, 0.001


def format_value(metric: str, value: Value) -> str:
    """Return a value as a person reads it, with its metric's unit: `21.5 °C`, `3.4 MB/s`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value if len(value) <= _TEXT_CHARS else value[: _TEXT_CHARS - 1] + "…"
    if not math.isfinite(value):
        return NOTHING
    unit = unit_of(metric)
    if unit in _SCALED:
        return _scaled(value, unit)
    if unit == "s" and value >= _LONG_S:
        return duration_text(round(value * _SECOND_MS))
    number = f"{value:.1f}" if unit in _ONE_DECIMAL else format_number(value)
    return f"{number} {unit}" if unit else number


def label_of(metric: str) -> str:
    """Return a metric's name as a label: without its unit, words apart (`room_temperature_c`)."""
    unit = unit_of(metric)
    cuts = [at for at, char in enumerate(metric) if char == "_"] if unit else []
    cut = next((at for at in reversed(cuts) if unit_of(metric[at:]) == unit), 0)
    return (metric[:cut] or metric).replace("_", " ").strip() or metric


def format_number(value: float) -> str:
    """Return about four digits, grouped by a narrow space: `12 345`, `231.4`, `3.142`."""
    size = abs(value)
    if size >= _GROUPED:
        return format_count(round(value))
    if value == 0:
        return "0"
    if size < _TINY:
        return f"{value:.2e}"
    if size >= _TENTHS:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def format_rate(per_s: float) -> str:
    """Return a rate with one decimal, that of a busy site as a whole number."""
    return format_count(round(per_s)) if per_s >= _GROUPED else f"{per_s:.1f}"


def format_count(count: int) -> str:
    """Return a whole number, grouped by a narrow space."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration_text(span_ms: int) -> str:
    """Return a span of time by its one or two largest parts: `45 s`, `3 min`, `2 d 4 h`."""
    if span_ms < _MINUTE_MS:
        return f"{span_ms // _SECOND_MS} s"
    if span_ms < _HOUR_MS:
        return f"{span_ms // _MINUTE_MS} min"
    if span_ms < _DAY_MS:
        return _two_parts(span_ms, _HOUR_MS, "h", _MINUTE_MS, "min")
    return _two_parts(span_ms, _DAY_MS, "d", _HOUR_MS, "h")


def age_text(at_ms: int | None, now_ms: int) -> str:
    """Return how long ago something was: `now`, `3 s ago`, `4 min ago`, `never`."""
    if at_ms is None:
        return "never"
    age_ms = now_ms - at_ms
    if age_ms < _SECOND_MS:
        return "now"
    size, unit = next(
        (size, unit)
        for size, unit in ((_DAY_MS, "d"), (_HOUR_MS, "h"), (_MINUTE_MS, "min"), (_SECOND_MS, "s"))
        if age_ms >= size
    )
    return f"{age_ms // size} {unit} ago"


def when_text(at_ms: int, zone: tzinfo) -> str:
    """Return a moment to the second in the site's zone, without the zone's name."""
    return in_zone(at_ms, zone).strftime("%Y-%m-%d %H:%M:%S")


def zone_text(at_ms: int, zone: tzinfo) -> str:
    """Return the zone's name with its offset at that moment: `Europe/Berlin, UTC+01:00`."""
    moment = in_zone(at_ms, zone)
    offset = moment.strftime("%z")
    name = str(zone)
    return "UTC" if name == "UTC" else f"{name}, UTC{offset[:3]}:{offset[3:5]}"


def iso_text(at_ms: int) -> str:
    """Return a moment for a `datetime` attribute: RFC 3339 in UTC."""
    return in_zone(at_ms, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def in_zone(at_ms: int, zone: tzinfo) -> datetime:
    """Return a Unix time in milliseconds as an aware datetime of that zone."""
    return datetime.fromtimestamp(at_ms / _SECOND_MS, zone)


def size_text(size_bytes: int) -> str:
    """Return a size of data: `512 B`, `1.4 MB`."""
    return _scaled(float(size_bytes), "B")


def range_text(numbers: Sequence[tuple[int, int]], limit: int = 8) -> str:
    """Return inclusive ranges as text: `4, 9-12 and 3 more`."""
    shown = ", ".join(
        str(low) if low == high else f"{low}{_DASH}{high}" for low, high in numbers[:limit]
    )
    more = len(numbers) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def _two_parts(span_ms: int, large_ms: int, large: str, small_ms: int, small: str) -> str:
    rest = span_ms % large_ms // small_ms
    head = f"{span_ms // large_ms} {large}"
    return f"{head} {rest} {small}" if rest else head


def _scaled(value: float, unit: str) -> str:
    size, index = abs(value), 0
    while size >= _KILO and index < len(_PREFIXES) - 1:
        size, index = size / _KILO, index + 1
    number = math.copysign(size, value)
    digits = 0 if index == 0 or size >= _TENTHS else 1
    return f"{number:.{digits}f} {_PREFIXES[index]}{unit}"
