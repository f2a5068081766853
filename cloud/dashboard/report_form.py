"""Reads the form that asks for a report. Pure."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple

from cloud.dashboard.charts_view import RANGES_MS

_DAY_MS = 86_400_000
_MAX_RANGE_MS = 366 * _DAY_MS


class FormError(ValueError):
    """What the person must correct in the form."""


class ReportForm(NamedTuple):
    """What a report is asked for: Unix ms, end exclusive; None means all."""

    tenant: str | None
    device: str | None
    from_ms: int
    to_ms: int


def read_report_form(fields: Mapping[str, str], zone: tzinfo, now_ms: int) -> ReportForm:
    """Return what the form asks for; its times are in the site's zone.

    Raises:
        FormError: the period is unknown, incomplete, reversed, too long or out of reach.
    """
    tenant, device = _subject(fields)
    span_ms = RANGES_MS.get(fields.get("range", ""))
    if span_ms is not None:
        return ReportForm(tenant, device, now_ms - span_ms, now_ms)
    if fields.get("range") != "custom":
        raise FormError("Choose a period.")
    from_ms, to_ms = _moment(fields, "from", zone), _moment(fields, "to", zone)
    if to_ms <= from_ms:
        raise FormError("The period must end after it begins.")
    if to_ms - from_ms > _MAX_RANGE_MS:
        raise FormError("The period must not be longer than a year.")
    if from_ms < 0 or to_ms > now_ms + _DAY_MS:
        raise FormError("The period must lie between 1970 and now.")
    return ReportForm(tenant, device, from_ms, to_ms)


def _subject(fields: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return tenant and device from one field `tenant/device`, or from two fields."""
    tenant, _, device = fields.get("subject", "").partition("/")
    return tenant or fields.get("tenant") or None, device or fields.get("device") or None


def _moment(fields: Mapping[str, str], name: str, zone: tzinfo) -> int:
    try:
        local = datetime.fromisoformat(fields.get(name, ""))
    except ValueError as exc:
        raise FormError("Give the day and time of both ends of the period.") from exc
    aware = local if local.tzinfo else local.replace(tzinfo=zone)
    return int(aware.timestamp() * 1_000)
