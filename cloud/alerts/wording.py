"""What alerts say to people: summaries, subjects, times. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cloud.alerts.rules import AnomalyRule, OfflineRule, ThresholdRule
from wire.events import AlertNotice, AnomalyDetected
from wire.quantities import format_value


def threshold(rule: ThresholdRule, value: float, *, holds: bool) -> str:
    """Say that a value went beyond its limit, or came back."""
    seen, limit = format_value(rule.metric, value), format_value(rule.metric, rule.limit)
    if not holds:
        return f"{rule.metric} is back at {seen} (limit {limit})"
    lasting = f" for {duration(rule.for_ms)}" if rule.for_ms else ""
    return f"{rule.metric} is {seen}, {rule.side} {limit}{lasting}"


def anomaly(found: AnomalyDetected) -> str:
    """Say what was seen and what was expected."""
    seen = format_value(found.metric, found.value)
    expected = format_value(found.metric, found.expected)
    reason = f"{found.channel}, score {found.score:.3g}"
    return f"{found.metric} was {seen} where {expected} was expected ({reason})"


def calm(rule: AnomalyRule, metric: str) -> str:
    """Say that no anomaly was seen for the rule's quiet time."""
    return f"no anomaly of {metric} for {duration(rule.quiet_ms)}"


def presence(rule: OfflineRule, *, offline: bool, said_so: bool) -> str:
    """Say that a device went silent or came back; `said_so`: its last will arrived."""
    if not offline:
        return "the device is back"
    if said_so:
        return "the device has gone offline"
    return f"the device was not heard for {duration(rule.after_ms)}"


def subject(notice: AlertNotice) -> str:
    """Return one line like `[FIRING] anomaly: demo/pump-03 vibration_mm_per_s`."""
    what = f"{notice.rule}: {notice.tenant}/{notice.device} {notice.metric}"
    return one_line(f"[{notice.status.upper()}] {what}")


def one_line(text: str) -> str:
    """Replace line breaks and other control characters by spaces."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def duration(ms: int) -> str:
    """Return a length of time as `45 s`, `5 min`, `2 h 30 min` or `3 d 4 h`."""
    seconds = round(ms / 1000)
    for size, unit, small_size, small_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // small_size
            return f"{seconds // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{ms / 1000:g} s"


def local_time(ms: int, zone: ZoneInfo) -> str:
    """Return a moment (Unix ms) as `2026-01-31 14:05:09 +01:00 (Europe/Berlin)`."""
    moment = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    offset = moment.isoformat()[-len("+00:00") :]
    return f"{moment:%Y-%m-%d %H:%M:%S} {offset} ({zone.key})"
