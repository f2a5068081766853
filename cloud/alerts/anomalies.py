"""Anomaly rules: how detected anomalies become conditions that begin and end. Pure."""

import msgspec

from cloud.alerts import wording
from cloud.alerts.lifecycle import alert_id
from cloud.alerts.rules import AnomalyRule
from wire.events import AnomalyDetected, ConditionChanged

# State group: the series whose anomaly condition holds, by the id of their alert.
GROUP = "anomaly_conditions"


class Restless(msgspec.Struct, frozen=True):
    """A series whose anomaly condition holds under one rule.

    `seen_at_ms` is when we learned of its last anomaly, by our clock: quiet is measured by it,
    so that replayed and late data behave like live data. `ts_ms` is that anomaly's own time,
    by which the alert's end is told.
    """

    key: str
    rule: str
    tenant: str
    device: str
    metric: str
    seen_at_ms: int
    ts_ms: int


def key(rule: AnomalyRule, found: AnomalyDetected) -> str:
    """Return the key under which the condition is kept."""
    return alert_id(rule.name, found.tenant, found.device, found.metric)


def prolonged(
    before: Restless | None, rule: AnomalyRule, found: AnomalyDetected, *, seen_at_ms: int
) -> Restless:
    """Return the condition after one more anomaly."""
    return Restless(
        key=key(rule, found),
        rule=rule.name,
        tenant=found.tenant,
        device=found.device,
        metric=found.metric,
        seen_at_ms=seen_at_ms,
        ts_ms=found.ts_ms if before is None else max(before.ts_ms, found.ts_ms),
    )


def watches(rule: AnomalyRule, restless: Restless) -> bool:
    """Tell whether the rule still applies to the series."""
    return rule.scope.covers(restless.tenant, restless.device, restless.metric)


def is_quiet(rule: AnomalyRule, restless: Restless, *, now_ms: int) -> bool:
    """Tell whether the rule's quiet time has passed since the last anomaly."""
    return now_ms - restless.seen_at_ms >= rule.quiet_ms


def began(rule: AnomalyRule, found: AnomalyDetected) -> ConditionChanged:
    """Say that the condition began with this anomaly."""
    return ConditionChanged(
        rule=rule.name,
        tenant=found.tenant,
        device=found.device,
        metric=found.metric,
        holds=True,
        severity=rule.severity,
        summary=wording.anomaly(found),
        at_ms=found.ts_ms,
        value=found.value,
    )


def ended(rule: AnomalyRule, restless: Restless) -> ConditionChanged:
    """Say that the condition ended a quiet time after its last anomaly."""
    return ConditionChanged(
        rule=rule.name,
        tenant=restless.tenant,
        device=restless.device,
        metric=restless.metric,
        holds=False,
        severity=rule.severity,
        summary=wording.calm(rule, restless.metric),
        at_ms=restless.ts_ms + rule.quiet_ms,
    )
