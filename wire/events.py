"""Events by which the services speak to each other through the step engine.

Topic (past tense) → type of its data. A step's `input` names the same type, so a payload that
does not fit is dead-lettered before the handler runs.
"""

from typing import Literal

import msgspec

Severity = Literal["info", "warning", "critical"]


class AnomalyDetected(msgspec.Struct, frozen=True):
    """`anomaly.detected`: a point was unlike its series' own past."""

    tenant: str
    device: str
    metric: str
    ts_ms: int
    value: float
    expected: float
    score: float
    channel: str


class DataLost(msgspec.Struct, frozen=True):
    """`data.lost`: messages that a broker had accepted are gone, before they reached us.

    `session_lost`: it forgot our session and what waited in it; `messages` is None, nobody knows
    how many. `broker_dropped`: it dropped that many for want of room, for us or another client.
    """

    cause: Literal["session_lost", "broker_dropped"]
    broker: str
    at_ms: int
    messages: int | None = None


class ConditionChanged(msgspec.Struct, frozen=True):
    """`alert.condition.changed`: a rule's condition began or ceased to hold for one subject.

    `value` is what was seen, None where the condition has no number (a silent device).
    `number` counts the changes of one rule and subject in the order in which they came about,
    from 1: an end that is handled before its beginning is recognised by it. 0: not numbered.
    """

    rule: str
    tenant: str
    device: str
    metric: str
    holds: bool
    severity: Severity
    summary: str
    at_ms: int
    value: float | None = None
    number: int = 0


class AlertNotice(msgspec.Struct, frozen=True):
    """`alert.fired` and `alert.resolved`: what deliveries tell people."""

    alert_id: str
    rule: str
    tenant: str
    device: str
    metric: str
    status: Literal["firing", "resolved"]
    severity: Severity
    summary: str
    started_at_ms: int
    ended_at_ms: int | None = None
    value: float | None = None


class ReportRequested(msgspec.Struct, frozen=True):
    """`report.requested`: somebody asks for a PDF of a period (Unix ms, end exclusive).

    No tenant or no device means all of them.
    """

    from_ms: int
    to_ms: int
    tenant: str | None = None
    device: str | None = None


class ReportQueued(msgspec.Struct, frozen=True):
    """`report.queued`: a report has its record in `wire.records.REPORTS` and is to be drawn."""

    report_id: str


class ReportFinished(msgspec.Struct, frozen=True):
    """`report.finished`: the PDF is there, or `error` says why not."""

    report_id: str
    file_name: str | None = None
    error: str | None = None
