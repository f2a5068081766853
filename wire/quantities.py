"""Values, counts, sizes and spans of time as a person reads them. Pure."""

import math

from wire.messages import Value
from wire.units import unit_of

NOTHING = "\N{EN DASH}"
_TEXT_CHARS = 60
_TENTH_MS, _SECOND_MS, _MINUTE_MS = 100, 1_000, 60_000
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
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


def format_count(count: int) -> str:
    """Return a whole number, grouped by a narrow space."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size_text(size_bytes: int) -> str:
    """Return a size of data: `512 B`, `1.4 MB`."""
    return _scaled(float(size_bytes), "B")


def duration_text(span_ms: int) -> str:
    """Return a span of time by its one or two largest parts: `0.5 s`, `3 min 5 s`, `2 d 4 h`."""
    if span_ms < _MINUTE_MS:
        return f"{max(0, span_ms) // _TENTH_MS / 10:g} s"
    if span_ms < _HOUR_MS:
        return _two_parts(span_ms, _MINUTE_MS, "min", _SECOND_MS, "s")
    if span_ms < _DAY_MS:
        return _two_parts(span_ms, _HOUR_MS, "h", _MINUTE_MS, "min")
    return _two_parts(span_ms, _DAY_MS, "d", _HOUR_MS, "h")


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
