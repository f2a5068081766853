"""Names of tenants, devices and metrics, and the rules they obey."""

from typing import NamedTuple, NewType
from unicodedata import category

from wire.errors import Malformed

TenantId = NewType("TenantId", str)
DeviceId = NewType("DeviceId", str)
MetricName = NewType("MetricName", str)

# Whose the machine is that the platform itself runs on.
LOCAL_TENANT = TenantId("local")

MAX_ID_CHARS = 64
MAX_METRIC_CHARS = 120
_TOPIC_SYNTAX = frozenset("/+#")
_PATH_STEPS = frozenset({".", ".."})
# Controls, halves of surrogate pairs, line and paragraph separators. Joiners and unusual spaces
# are part of names in many languages, and of emoji.
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


class DeviceKey(NamedTuple):
    """One device of one tenant."""

    tenant: TenantId
    device: DeviceId


# What ingestion says of itself is said as if of this device; it has no account and no page.
INGEST = DeviceKey(LOCAL_TENANT, DeviceId("ingest"))


class SeriesKey(NamedTuple):
    """One metric of one device: what a series of points belongs to."""

    tenant: TenantId
    device: DeviceId
    metric: MetricName


def tenant_id(text: str) -> TenantId:
    """Check a tenant's name; raise `Malformed` when it cannot be one level of a topic."""
    return TenantId(_topic_level("tenant", text))


def device_id(text: str) -> DeviceId:
    """Check a device's name; raise `Malformed` when it cannot be one level of a topic."""
    return DeviceId(_topic_level("device", text))


def metric_name(text: str) -> MetricName:
    """Check a metric's name: any printable text up to 120 characters, no edge spaces."""
    reason = _text_fault(text, MAX_METRIC_CHARS)
    if reason:
        raise Malformed(f"metric name {reason}")
    return MetricName(text)


def _topic_level(what: str, text: str) -> str:
    reason = _text_fault(text, MAX_ID_CHARS)
    if reason is None and not _TOPIC_SYNTAX.isdisjoint(text):
        reason = "contains one of / + #"
    if reason is None and text in _PATH_STEPS:
        reason = "is a step in a path, not a name"
    if reason is None and not text.isprintable():
        reason = "contains a character that cannot be seen"
    if reason:
        raise Malformed(f"{what} name {reason}")
    return text


def _text_fault(text: str, max_chars: int) -> str | None:
    if not text:
        return "is empty"
    if len(text) > max_chars:
        return f"is longer than {max_chars} characters"
    if text != text.strip():
        return "begins or ends with a space"
    if any(category(char) in _CONTROL for char in text):
        return "contains a control character"
    return None
