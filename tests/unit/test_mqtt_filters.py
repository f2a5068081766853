"""Filters of mqtt steps, URLs of brokers, payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import Misconfigured
from tidegate.mqtt.access import parse_url
from tidegate.mqtt.filters import check_filter, shared
from tidegate.mqtt.steps import decoded


@pytest.mark.parametrize("text", ["a", "a/b", "#", "+", "a/+/c/#", "/", "a//b", "$SYS/#", "é/+"])
def test_filter_that_a_broker_takes_passes(text: str) -> None:
    """What MQTT allows is allowed."""
    check_filter(text)


@pytest.mark.parametrize(
    "text",
    ["", "a\0b", "a#", "#/a", "a/#/b", "a+/b", "++", "$share/g/a", "x" * 70_000, "\ud800"],
)
def test_filter_that_no_broker_takes_is_refused(text: str) -> None:
    """A wrong one is an error that says what to write."""
    with pytest.raises(Misconfigured, match="topic"):
        check_filter(text)


def test_shared_subscription_has_a_group_of_one_level() -> None:
    """A step's name cannot break the subscription."""
    assert shared("My step/+", "a/#") == "$share/tidegate-My%20step%2F%2B/a/#"


def test_url_of_a_broker_is_taken_apart() -> None:
    """User and password may be percent-encoded; the port has a default."""
    access = parse_url("mqtt://us%40er:p%3Aw@[::1]")

    assert (access.host, access.port, access.username) == ("::1", 1883, "us@er")
    assert access.revealed == "p:w"
    assert "p:w" not in repr(access)


@pytest.mark.parametrize("url", ["", "localhost", "http://h", "mqtt://", "mqtt://h:x", "mqtt://["])
def test_url_of_no_broker_is_refused_without_repeating_it(url: str) -> None:
    """The message says what to write."""
    with pytest.raises(Misconfigured, match="--mqtt"):
        parse_url(url)


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b"21.5", 21.5),
        (b'"text"', "text"),
        (b"NaN", "NaN"),
        (b"", ""),
        ("grün".encode(), "grün"),
        (b"\xff\x00", b"\xff\x00"),
        (b"{", "{"),
    ],
)
def test_payload_is_json_or_text_or_bytes(payload: bytes, data: object) -> None:
    """The most that can be understood is understood."""
    assert decoded(payload) == data


@given(st.binary())
def test_payload_of_anything_is_decoded(payload: bytes) -> None:
    """No payload is an error."""
    decoded(payload)


def test_payload_that_nests_too_deep_is_text() -> None:
    """It does not end the process."""
    assert decoded(b"[" * 100_000) == "[" * 100_000
