"""Topics and names: what is built is what is parsed, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, metric_name, tenant_id
from wire.topics import account_name, all_devices, parse_topic, topic

_LEVEL = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/+#"), min_size=1, max_size=64
)


@given(_LEVEL, _LEVEL)
def test_topic_parses_what_it_builds(tenant: str, device: str) -> None:
    """Any valid pair of names comes back from its topic."""
    key = DeviceKey(tenant_id(tenant), device_id(device))

    assert parse_topic(topic(key, "telemetry")) == (key, "telemetry")
    assert parse_topic(topic(key, "cmd/result")) == (key, "cmd/result")
    assert account_name(key) == f"{tenant}/{device}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t/a/b",
        "x/a/b/telemetry",
        "t/a/b/other",
        "t//b/telemetry",
        "t/a/b/telemetry/",
        "t/a b /c/telemetry/x",
        "t/a/+/telemetry",
        "t/a\n/b/telemetry",
        f"t/{'a' * 65}/b/telemetry",
    ],
)
def test_topic_of_somebody_else_is_malformed(text: str) -> None:
    """What is not one of our topics raises, whatever it is."""
    with pytest.raises(Malformed):
        parse_topic(text)


def test_topic_filter_matches_every_device() -> None:
    """The subscription of the cloud has a wildcard for tenant and device."""
    assert all_devices("status") == "t/+/+/status"


@given(st.text(max_size=130))
def test_metric_name_is_kept_or_refused(text: str) -> None:
    """A metric's name is never changed."""
    try:
        name = metric_name(text)
    except Malformed:
        return

    assert name == text
    assert 0 < len(name) <= 120


@pytest.mark.parametrize("text", ["", " a", "a ", "a\tb", "a\x00", "\ud800", "x" * 121])
def test_metric_name_refuses_what_cannot_be_shown(text: str) -> None:
    """Control characters, edge spaces and longer names have a reason."""
    with pytest.raises(Malformed, match="metric name"):
        metric_name(text)
