"""What the state keeps for several services to read: the groups, and the type of their values.

One service writes a group, every other reads it by the name and the type given here. Values are
kept as plain dicts; `wire.events.AlertNotice` is the type of `ALERTS`.
"""

from typing import Literal

import msgspec

# Written by alerts. Every alert by its id: firing ones, and resolved ones for a week.
ALERTS = "alerts"
# Written by alerts: every `Delivery` by its id, for a week.
DELIVERIES = "deliveries"
# Written by reports: every `Report` by its id.
REPORTS = "reports"


class Delivery(msgspec.Struct, frozen=True):
    """What the log knows of a delivery; `at_ms` is when its status became what it is."""

    id: str
    alert_id: str
    channel: Literal["webhook", "email"]
    target: str
    status: Literal["queued", "delivered", "failed"]
    attempts: int
    at_ms: int
    error: str | None = None


class Report(msgspec.Struct, frozen=True):
    """A report's way from asked for to finished, Unix ms; `error` says why it failed."""

    report_id: str
    from_ms: int
    to_ms: int
    created_at_ms: int
    tenant: str | None = None
    device: str | None = None
    status: Literal["queued", "ready", "failed"] = "queued"
    file_name: str | None = None
    error: str | None = None
