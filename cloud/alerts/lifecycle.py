"""The life of an alert: (what is known, what changed) → (what is known now, what to tell). Pure."""

import hashlib

import msgspec

from wire.events import AlertNotice, ConditionChanged

_ID_CHARS = 16


def alert_id(rule: str, tenant: str, device: str, metric: str) -> str:
    """Return the identity of an alert: the same rule on the same subject is the same alert."""
    # Names cannot contain control characters, so no two subjects share this text.
    text = f"{rule}\x1f{tenant}\x1f{device}\x1f{metric}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]


def alert_id_of(change: ConditionChanged) -> str:
    """Return the identity of the alert that a change is about."""
    return alert_id(change.rule, change.tenant, change.device, change.metric)


def advance(current: AlertNotice | None, change: ConditionChanged) -> AlertNotice | None:
    """Return the alert's new state, or None when the change changes nothing.

    What is returned is to be kept and to be told. A condition that goes on holding, or that
    ceases without an alert, is nothing new, so people hear of each beginning and each end once,
    however often a change is delivered.
    """
    firing = current is not None and current.status == "firing"
    if change.holds:
        return None if firing else _fired(change)
    return _resolved(current, change) if firing and current is not None else None


def _fired(change: ConditionChanged) -> AlertNotice:
    return AlertNotice(
        alert_id=alert_id_of(change),
        rule=change.rule,
        tenant=change.tenant,
        device=change.device,
        metric=change.metric,
        status="firing",
        severity=change.severity,
        summary=change.summary,
        started_at_ms=change.at_ms,
        value=change.value,
    )


def _resolved(current: AlertNotice, change: ConditionChanged) -> AlertNotice:
    return msgspec.structs.replace(
        current,
        status="resolved",
        summary=change.summary,
        ended_at_ms=max(change.at_ms, current.started_at_ms),
        value=change.value,
    )
