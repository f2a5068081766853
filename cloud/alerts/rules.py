"""Alert rules: what the settings say, checked and typed; and what each rule applies to. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cloud.settings import AlertRule
from tidegate.errors import Misconfigured
from wire.events import AlertNotice, Severity

_EVERY_TYPE_HAS = frozenset({"name", "type", "tenant", "device", "severity"})
_KEYS_OF_TYPE = {
    "threshold": _EVERY_TYPE_HAS | {"metric", "above", "below", "clear", "for"},
    "anomaly": _EVERY_TYPE_HAS | {"metric", "quiet_s"},
    "offline": _EVERY_TYPE_HAS | {"after_s"},
    "loss": frozenset({"name", "type", "severity", "quiet_s"}),
}


class Scope(msgspec.Struct, frozen=True):
    """Which subjects a rule applies to; None means all."""

    tenant: str | None = None
    device: str | None = None
    metric: str | None = None

    def covers(self, tenant: str, device: str, metric: str = "") -> bool:
        """Tell whether the rule applies to one metric of one device."""
        return (
            self.tenant in (None, tenant)
            and self.device in (None, device)
            and self.metric in (None, metric)
        )


class ThresholdRule(msgspec.Struct, frozen=True):
    """A value beyond `limit` for `for_ms` of event time; ceases to hold at `clear`."""

    name: str
    severity: Severity
    scope: Scope
    metric: str
    side: Literal["above", "below"]
    limit: float
    clear: float
    for_ms: int = 0


class AnomalyRule(msgspec.Struct, frozen=True):
    """Any detected anomaly; ceases to hold after `quiet_ms` without another."""

    name: str
    severity: Severity
    scope: Scope
    quiet_ms: int


class OfflineRule(msgspec.Struct, frozen=True):
    """A device that was not heard for `after_ms`."""

    name: str
    severity: Severity
    scope: Scope
    after_ms: int


class LossRule(msgspec.Struct, frozen=True):
    """Messages that a broker lost; ceases to hold after `quiet_ms` without another loss."""

    name: str
    severity: Severity
    quiet_ms: int


class Rules(msgspec.Struct, frozen=True):
    """All rules by their type."""

    thresholds: tuple[ThresholdRule, ...] = ()
    anomalies: tuple[AnomalyRule, ...] = ()
    offlines: tuple[OfflineRule, ...] = ()
    losses: tuple[LossRule, ...] = ()

    def still_watch(self, notice: AlertNotice) -> bool:
        """Tell whether a rule of that name exists that could still resolve this alert."""
        if any(rule.name == notice.rule for rule in self.losses):
            return True
        everything: tuple[ThresholdRule | AnomalyRule | OfflineRule, ...]
        everything = (*self.thresholds, *self.anomalies, *self.offlines)
        rule = next((rule for rule in everything if rule.name == notice.rule), None)
        if rule is None:
            return False
        return rule.scope.covers(notice.tenant, notice.device, notice.metric)


def typed_rules(raw: Sequence[AlertRule]) -> Rules:
    """Check the rules of the settings and sort them by type.

    Raises:
        Misconfigured: a rule lacks something, has something that its type does not use, or
            shares its name with another; the message names the rule and what to do.
    """
    _refuse_double_names(raw)
    for rule in raw:
        _refuse_foreign_keys(rule)
    return Rules(
        thresholds=tuple(_threshold(rule) for rule in raw if rule.type == "threshold"),
        anomalies=tuple(_anomaly(rule) for rule in raw if rule.type == "anomaly"),
        offlines=tuple(_offline(rule) for rule in raw if rule.type == "offline"),
        losses=tuple(
            LossRule(rule.name, rule.severity, round(rule.quiet_s * 1000))
            for rule in raw
            if rule.type == "loss"
        ),
    )


def _refuse_double_names(raw: Iterable[AlertRule]) -> None:
    seen: set[str] = set()
    for rule in raw:
        if not rule.name.strip():
            raise Misconfigured(f"an alert rule of type '{rule.type}' has no name: give it one")
        if rule.name in seen:
            raise Misconfigured(f"two alert rules are named '{rule.name}': rename one of them")
        seen.add(rule.name)


def _refuse_foreign_keys(rule: AlertRule) -> None:
    """Refuse what the rule's type would silently ignore."""
    plain = AlertRule(name=rule.name, type=rule.type)
    keys = zip(rule.__struct_encode_fields__, rule.__struct_fields__, strict=True)
    for key, field in keys:
        changed = getattr(rule, field) != getattr(plain, field)
        if changed and key not in _KEYS_OF_TYPE[rule.type]:
            raise _fault(rule, f"'{key}' has no meaning for type '{rule.type}': remove it")


def _threshold(rule: AlertRule) -> ThresholdRule:
    if rule.metric is None:
        raise _fault(rule, "type 'threshold' needs 'metric'")
    side, limit = _side_and_limit(rule)
    clear = limit if rule.clear is None else rule.clear
    if not (math.isfinite(limit) and math.isfinite(clear)):
        raise _fault(rule, "its threshold must be a finite number")
    if side == "above" and clear > limit:
        raise _fault(rule, f"'clear' must be at most 'above' ({limit:g}): the value falls to clear")
    if side == "below" and clear < limit:
        raise _fault(
            rule, f"'clear' must be at least 'below' ({limit:g}): the value rises to clear"
        )
    return ThresholdRule(
        name=rule.name,
        severity=rule.severity,
        scope=Scope(rule.tenant, rule.device, rule.metric),
        metric=rule.metric,
        side=side,
        limit=limit,
        clear=clear,
        for_ms=round(rule.for_s * 1000),
    )


def _side_and_limit(rule: AlertRule) -> tuple[Literal["above", "below"], float]:
    if rule.above is not None and rule.below is not None:
        raise _fault(rule, "it has 'above' and 'below': keep one, and make a second rule")
    if rule.above is not None:
        return "above", rule.above
    if rule.below is not None:
        return "below", rule.below
    raise _fault(rule, "type 'threshold' needs one of 'above' and 'below'")


def _anomaly(rule: AlertRule) -> AnomalyRule:
    scope = Scope(rule.tenant, rule.device, rule.metric)
    return AnomalyRule(rule.name, rule.severity, scope, round(rule.quiet_s * 1000))


def _offline(rule: AlertRule) -> OfflineRule:
    scope = Scope(rule.tenant, rule.device)
    return OfflineRule(rule.name, rule.severity, scope, round(rule.after_s * 1000))


def _fault(rule: AlertRule, what: str) -> Misconfigured:
    return Misconfigured(f"alert rule '{rule.name}': {what}")
