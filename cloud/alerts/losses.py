"""Loss rules: how messages that a broker lost become conditions that begin and end. Pure.

They are ingestion's own: nobody knows which devices' messages they were.
"""

import msgspec

from cloud.alerts import wording
from cloud.alerts.lifecycle import alert_id
from cloud.alerts.rules import LossRule
from wire.events import ConditionChanged, DataLost
from wire.ids import INGEST

# State group: the losses whose condition holds, by the id of their alert.
GROUP = "loss_conditions"


class Loss(msgspec.Struct, frozen=True):
    """A cause of loss under one rule, when it was last learned of and when it last happened."""

    key: str
    rule: str
    cause: str
    seen_at_ms: int
    at_ms: int


def key(rule: LossRule, found: DataLost) -> str:
    """Return the key under which the condition is kept."""
    return alert_id(rule.name, *INGEST, found.cause)


def prolonged(before: Loss | None, rule: LossRule, found: DataLost, *, seen_at_ms: int) -> Loss:
    """Return the condition after one more loss."""
    at_ms = found.at_ms if before is None else max(before.at_ms, found.at_ms)
    return Loss(key(rule, found), rule.name, found.cause, seen_at_ms, at_ms)


def is_quiet(rule: LossRule, loss: Loss, *, now_ms: int) -> bool:
    """Tell whether the rule's quiet time has passed since the last loss."""
    return now_ms - loss.seen_at_ms >= rule.quiet_ms


def began(rule: LossRule, found: DataLost) -> ConditionChanged:
    """Say that the condition began with this loss."""
    return ConditionChanged(
        rule=rule.name,
        tenant=INGEST.tenant,
        device=INGEST.device,
        metric=found.cause,
        holds=True,
        severity=rule.severity,
        summary=wording.loss(found),
        at_ms=found.at_ms,
        value=None if found.messages is None else float(found.messages),
    )


def ended(rule: LossRule, loss: Loss) -> ConditionChanged:
    """Say that the condition ended a quiet time after its last loss."""
    return ConditionChanged(
        rule=rule.name,
        tenant=INGEST.tenant,
        device=INGEST.device,
        metric=loss.cause,
        holds=False,
        severity=rule.severity,
        summary=wording.no_loss(rule),
        at_ms=loss.at_ms + rule.quiet_ms,
    )
