"""Alert rules of the settings are checked before anything starts."""

import math

import pytest

from cloud.alerts.rules import Scope, typed_rules
from cloud.settings import AlertRule, Alerts
from tidegate.errors import Misconfigured
from wire.events import AlertNotice


def test_typed_rules_accepts_the_default_rules() -> None:
    """What the settings say by default is one rule of each type."""
    rules = typed_rules(Alerts().rules)

    assert [rule.name for rule in rules.thresholds] == ["disk-nearly-full"]
    assert [rule.name for rule in rules.anomalies] == ["anomaly"]
    assert [rule.name for rule in rules.offlines] == ["device-offline"]
    assert [rule.name for rule in rules.losses] == ["data-lost"]
    assert rules.thresholds[0].for_ms == 60_000
    assert rules.thresholds[0].clear == 95.0


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (AlertRule(name="r", type="threshold", above=1.0), "needs 'metric'"),
        (AlertRule(name="r", type="threshold", metric="m"), "one of 'above' and 'below'"),
        (
            AlertRule(name="r", type="threshold", metric="m", above=1.0, below=0.0),
            "make a second rule",
        ),
        (
            AlertRule(name="r", type="threshold", metric="m", above=1.0, clear=2.0),
            "at most 'above'",
        ),
        (
            AlertRule(name="r", type="threshold", metric="m", below=1.0, clear=0.0),
            "at least 'below'",
        ),
        (AlertRule(name="r", type="threshold", metric="m", above=math.inf), "finite"),
        (
            AlertRule(name="r", type="threshold", metric="m", above=1.0, quiet_s=5.0),
            "'quiet_s' has no meaning for type 'threshold'",
        ),
        (AlertRule(name="r", type="anomaly", for_s=5.0), "'for' has no meaning"),
        (AlertRule(name="r", type="anomaly", above=5.0), "'above' has no meaning"),
        (AlertRule(name="r", type="offline", metric="m"), "'metric' has no meaning"),
    ],
)
def test_typed_rules_refuses_what_cannot_work(rule: AlertRule, reason: str) -> None:
    """A wrong rule is refused with its name and what to do about it."""
    with pytest.raises(Misconfigured, match=reason) as refusal:
        typed_rules([rule])

    assert "alert rule 'r'" in str(refusal.value)


def test_typed_rules_refuses_two_rules_of_one_name() -> None:
    """A name is a rule's identity, so it can be given once."""
    rule = AlertRule(name="twice", type="offline")

    with pytest.raises(Misconfigured, match="two alert rules are named 'twice'"):
        typed_rules([rule, rule])


def test_typed_rules_refuses_a_rule_without_a_name() -> None:
    """An empty name could not be told from another."""
    with pytest.raises(Misconfigured, match="has no name"):
        typed_rules([AlertRule(name=" ", type="offline")])


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), True),
        (Scope("demo", "pump", "flow"), True),
        (Scope(tenant="other"), False),
        (Scope(device="other"), False),
        (Scope(metric="flow_total"), False),
    ],
)
def test_scope_covers_exact_names_or_everything(scope: Scope, *, covered: bool) -> None:
    """Names match exactly, and a name that is not given matches all."""
    assert scope.covers("demo", "pump", "flow") is covered


@pytest.mark.parametrize(("rule", "device", "watched"), [
    ("hot", "pump", True), ("hot", "fan", False), ("gone", "pump", False),
])  # fmt: skip
def test_still_watch_finds_alerts_without_a_rule(rule: str, device: str, *, watched: bool) -> None:
    """An alert whose rule is gone, or now applies to others, is watched by nobody."""
    rules = typed_rules(
        [AlertRule(name="hot", type="threshold", metric="t", above=1.0, device="pump")]
    )
    notice = AlertNotice("id", rule, "demo", device, "t", "firing", "info", "", 0)

    assert rules.still_watch(notice) is watched
