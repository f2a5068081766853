"""What alerts say to people: summaries, subjects, times. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cloud.alerts.rules import AnomalyRule, LossRule, OfflineRule, ThresholdRule
from wire.events import AlertNotice, AnomalyDetected, DataLost
from wire.quantities import duration_text, format_value


def threshold(rule: ThresholdRule, value: float, *, holds: bool) -> str:
    """Say that a value went beyond its limit, or came back."""
    seen, limit = format_value(rule.metric, value), format_value(rule.metric, rule.limit)
    if not holds:
        return f"{rule.metric} is back at {seen} (limit {limit})"
    lasting = f" for {duration_text(rule.for_ms)}" if rule.for_ms else ""
    return f"{rule.metric} is {seen}, {rule.side} {limit}{lasting}"


def anomaly(found: AnomalyDetected) -> str:
    """Say what was seen and what was expected."""
    seen = format_value(found.metric, found.value)
    expected = format_value(found.metric, found.expected)
    reason = f"{found.channel}, score {found.score:.3g}"
    return f"{found.metric} was {seen} where {expected} was expected ({reason})"


def calm(rule: AnomalyRule, metric: str) -> str:
    """Say that no anomaly was seen for the rule's quiet time."""
    return f"no anomaly of {metric} for {duration_text(rule.quiet_ms)}"


def presence(rule: OfflineRule, *, offline: bool, said_so: bool) -> str:
    """Say that a device went silent or came back; `said_so`: its last will arrived."""
    if not offline:
        return "the device is back"
    if said_so:
        return "the device has gone offline"
    return f"the device was not heard for {duration_text(rule.after_ms)}"


def loss(found: DataLost) -> str:
    """Say what a broker has lost and where to look for it."""
    if found.cause == "session_lost":
        what = "has forgotten our session and what waited in it, an unknown number of messages"
        return f"the broker {found.broker} {what}: see the gaps in the devices' ledgers"
    what = f"has dropped {found.messages} messages for want of room in a client's queue"
    return f"the broker {found.broker} {what}: see the gaps in the devices' ledgers"


def no_loss(rule: LossRule) -> str:
    """Say that nothing more was lost for the rule's quiet time."""
    return f"no further loss for {duration_text(rule.quiet_ms)}"


def subject(notice: AlertNotice) -> str:
    """Return one line like `[FIRING] anomaly: demo/pump-03 vibration_mm_per_s`."""
    what = f"{notice.rule}: {notice.tenant}/{notice.device} {notice.metric}"
    return one_line(f"[{notice.status.upper()}] {what}")


def one_line(text: str) -> str:
    """Replace line breaks and other control characters by spaces."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def local_time(ms: int, zone: ZoneInfo) -> str:
    """Return a moment (Unix ms) as `2026-01-31 14:05:09 +01:00 (Europe/Berlin)`."""
    moment = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    offset = moment.isoformat()[-len("+00:00") :]
    return f"{moment:%Y-%m-%d %H:%M:%S} {offset} ({zone.key})"
