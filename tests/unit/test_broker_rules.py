"""The rules of the ACL file."""

from pathlib import Path

import pytest

import broker
from broker.accounts import INGEST_USERNAME
from broker.rules import Rules, matches, parse_rules, render_for_accounts

DEVICE = "acme/pump-1"


@pytest.fixture
def rules() -> Rules:
    """Parse the shipped file."""
    return parse_rules((Path(broker.__file__).parent / "acl").read_text("utf-8"))


@pytest.mark.parametrize("channel", ["telemetry", "status", "event", "cmd/result", "twin/reported"])
def test_device_writes_but_does_not_read_its_reports(rules: Rules, channel: str) -> None:
    """What a device says is not given back to it."""
    assert rules.allows(DEVICE, "write", f"t/{DEVICE}/{channel}")
    assert not rules.allows(DEVICE, "read", f"t/{DEVICE}/{channel}")


@pytest.mark.parametrize("channel", ["ack", "cmd", "twin/desired"])
def test_device_reads_but_does_not_write_its_orders(rules: Rules, channel: str) -> None:
    """What a device is told, it cannot say itself; the gateway can."""
    assert rules.allows(DEVICE, "read", f"t/{DEVICE}/{channel}")
    assert not rules.allows(DEVICE, "write", f"t/{DEVICE}/{channel}")
    assert rules.allows(INGEST_USERNAME, "write", f"t/{DEVICE}/{channel}")


@pytest.mark.parametrize("access", ["read", "write"])
@pytest.mark.parametrize("channel", ["telemetry", "ack", "cmd", "status"])
def test_device_has_nothing_of_another(rules: Rules, access: str, channel: str) -> None:
    """Neither a device with a longer name nor one of the tenant is reached."""
    for other in ("acme/pump-2", "acme/pump-11", "acme", "acme/pump-1/x", "other/pump-1"):
        assert not rules.allows(DEVICE, access, f"t/{other}/{channel}")  # type: ignore[arg-type]


def test_gateway_reads_devices_and_nothing_else(rules: Rules) -> None:
    """Its account is no master key."""
    assert rules.allows(INGEST_USERNAME, "read", f"t/{DEVICE}/telemetry")
    assert not rules.allows(INGEST_USERNAME, "read", "$SYS/broker/uptime")
    assert rules.allows(INGEST_USERNAME, "read", "$SYS/broker/publish/messages/dropped")
    assert not rules.allows("acme/pump", "read", "$SYS/broker/publish/messages/dropped")
    assert not rules.allows(INGEST_USERNAME, "read", "elsewhere")
    assert not rules.allows(INGEST_USERNAME, "write", f"t/{DEVICE}/telemetry")


def test_gateway_is_a_sparkplug_host(rules: Rules) -> None:
    """It reads all nodes, asks them for births and says whether it is there; no more."""
    assert rules.allows(INGEST_USERNAME, "read", "spBv1.0/plant/DDATA/edge/pump")
    assert rules.allows(INGEST_USERNAME, "write", "spBv1.0/plant/NCMD/edge")
    assert rules.allows(INGEST_USERNAME, "write", "spBv1.0/STATE/tidegate")
    assert not rules.allows(INGEST_USERNAME, "write", "spBv1.0/plant/DCMD/edge/pump")
    assert not rules.allows(INGEST_USERNAME, "write", "spBv1.0/plant/NBIRTH/edge")
    assert not rules.allows(DEVICE, "write", "spBv1.0/acme/NDATA/pump-1")


def test_name_with_a_placeholder_stays_itself(rules: Rules) -> None:
    """A device called %u is a device like any other."""
    assert rules.allows("acme/%u", "write", "t/acme/%u/telemetry")
    assert not rules.allows("acme/%u", "write", "t/acme/acme/%u/telemetry")


@pytest.mark.parametrize(
    ("topic_filter", "allowed"),
    [
        ("t/acme/pump-1/ack", True),
        ("t/acme/pump-1/#", True),
        ("t/+/+/ack", True),
        ("#", True),
        ("t/acme/pump-1/telemetry", False),
        ("t/acme/pump-2/#", False),
        ("t/acme/pump-1/cmd/result", False),
        ("t/acme/pump-1", False),
        ("$SYS/#", False),
    ],
)
def test_subscription_needs_something_readable(
    rules: Rules, topic_filter: str, *, allowed: bool
) -> None:
    """A filter under which the device could never receive anything is refused."""
    assert rules.allows_subscription(DEVICE, topic_filter) is allowed


def test_written_out_rules_mean_the_same(rules: Rules) -> None:
    """Without patterns, each account has exactly the rules it had with them."""
    written = parse_rules(render_for_accounts(rules, [DEVICE, INGEST_USERNAME]))

    for name in (DEVICE, INGEST_USERNAME):
        assert written.of(name) == rules.of(name)
    assert written.of("acme/pump-2") == []


@pytest.mark.parametrize(
    ("topic", "topic_filter", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/+", True),
        ("a/b", "#", True),
        ("a", "a/#", True),
        ("a/b/c", "a/+", False),
        ("a", "a/+", False),
        ("a/", "a/+", True),
        ("$SYS/x", "#", False),
        ("$SYS/x", "+/x", False),
        ("$SYS/x", "$SYS/#", True),
    ],
)
def test_matches_follows_mqtt(topic: str, topic_filter: str, *, expected: bool) -> None:
    """Wildcards as MQTT 3.1.1, 4.7 has them."""
    assert matches(topic.split("/"), topic_filter.split("/")) is expected


@pytest.mark.parametrize(
    "line", ["topic read t/#", "pattern t/%u", "user a\ntopic readwrite x", "deny"]
)
def test_parse_rules_refuses_what_it_would_misread(line: str) -> None:
    """Forms of the file that only Mosquitto understands are an error, with the line's number."""
    with pytest.raises(ValueError, match=r"acl line \d"):
        parse_rules(line)
