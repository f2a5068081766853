"""How numbers, times and ages read on a page: pure functions with sensible digits and units."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from wire.quantities import format_count
from wire.units import unit_of

NOTHING = _DASH = "\N{EN DASH}"
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_GROUPED = 1_000.0


def label_of(metric: str) -> str:
    """Return a metric's name as a label: without its unit, words apart (`room_temperature_c`)."""
    unit = unit_of(metric)
    cuts = [at for at, char in enumerate(metric) if char == "_"] if unit else []
    cut = next((at for at in reversed(cuts) if unit_of(metric[at:]) == unit), 0)
    return (metric[:cut] or metric).replace("_", " ").strip() or metric


def format_rate(per_s: float) -> str:
    """Return a rate with one decimal, that of a busy site as a whole number."""
    return format_count(round(per_s)) if per_s >= _GROUPED else f"{per_s:.1f}"


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


def range_text(numbers: Sequence[tuple[int, int]], limit: int = 8) -> str:
    """Return inclusive ranges as text: `4, 9-12 and 3 more`."""
    shown = ", ".join(
        str(low) if low == high else f"{low}{_DASH}{high}" for low, high in numbers[:limit]
    )
    more = len(numbers) - limit
    return f"{shown} and {more} more" if more > 0 else shown
