"""Topics that are not ours: which device they belong to."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import Malformed
from wire.ids import DeviceKey, TenantId, device_id, tenant_id
from wire.patterns import Pattern

_HOME = TenantId("home")
_LAMP = DeviceKey(tenant_id("home"), device_id("lamp"))


def test_pattern_finds_the_device() -> None:
    """Names stand for one level each; what else is named goes to the format."""
    match = Pattern("tele/{device}/{kind}/{line_2}", _HOME).match("tele/lamp/SENSOR/b")

    assert match is not None
    assert match == (_LAMP, {"kind": "SENSOR", "line_2": "b"})


def test_pattern_takes_the_tenant_from_the_topic() -> None:
    """Without a tenant of its own the pattern has to name one."""
    match = Pattern("sites/{tenant}/{device}/#").match("sites/home/lamp/a/b")

    assert match is not None
    assert match == (_LAMP, {"#": "a/b"})


@pytest.mark.parametrize(("topic", "rest"), [("x/lamp", ""), ("x/lamp/", ""), ("x/lamp/a/", "a/")])
def test_pattern_hands_on_the_levels_that_it_leaves_open(topic: str, rest: str) -> None:
    """What `#` stands for is known by that name; a pattern knows what it will give names to."""
    pattern = Pattern("x/{device}/#", _HOME)

    match = pattern.match(topic)

    assert match is not None
    assert match.names == {"#": rest}
    assert pattern.names == {"#"}
    assert Pattern("{tenant}/{device}/{kind}/+").names == {"kind"}


@pytest.mark.parametrize("topic", ["tele/lamp", "tele/lamp/STATE", "tele/lamp/SENSOR/x", "x", ""])
def test_pattern_leaves_other_topics_alone(topic: str) -> None:
    """A topic of another shape is nobody's by this pattern."""
    assert Pattern("tele/{device}/SENSOR", _HOME).match(topic) is None


def test_pattern_subscribes_to_what_it_matches() -> None:
    """Each name is a single-level wildcard."""
    assert Pattern("tele/{device}/+/#", _HOME).topic_filter == "tele/+/+/#"


@pytest.mark.parametrize(
    ("text", "tenant"),
    [
        ("tele/lamp/SENSOR", _HOME),
        ("tele/{device}/{device}", _HOME),
        ("tele/{device}", None),
        ("{tenant}/{device}", _HOME),
        ("#/{device}", _HOME),
        ("tele/x{device}", _HOME),
        ("tele/+x/{device}", _HOME),
    ],
)
def test_pattern_refuses_what_is_none(text: str, tenant: TenantId | None) -> None:
    """The device is named once, the tenant once in all, wildcards stand alone."""
    with pytest.raises(Malformed, match="topic"):
        Pattern(text, tenant)


def test_pattern_refuses_names_that_no_device_can_have() -> None:
    """A level that cannot be one of our names is a fault of the message, not of the pattern."""
    with pytest.raises(Malformed):
        Pattern("tele/{device}", _HOME).match("tele/ ")


@given(topic=st.text(max_size=60))
def test_pattern_survives_any_topic(topic: str) -> None:
    """Whatever is published somewhere, matching answers or says `Malformed`."""
    with contextlib.suppress(Malformed):
        Pattern("{tenant}/{device}/#").match(topic)
