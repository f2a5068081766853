"""What the receiver subscribes to."""

import pytest

from cloud.ingest.messages import Messages
from cloud.ingest.receiving.filters import DROPPED_TOPIC, covers, filters_of
from wire.errors import Malformed


def test_filters_alone() -> None:
    """Readings of all devices and of topic rules, every status, and what the broker dropped."""
    filters = filters_of(["tele/+/SENSOR"], group=None)

    assert [one.text for one in filters] == [
        "t/+/+/telemetry",
        "tele/+/SENSOR",
        "t/+/+/status",
        DROPPED_TOPIC,
    ]
    assert [one.wants_retained for one in filters] == [False, False, True, True]
    assert [one.is_needed for one in filters] == [True, True, True, False]


def test_filters_in_a_group_share_readings_and_nothing_else() -> None:
    """A status is for every member, and so is the broker's count."""
    filters = filters_of(["tele/+/SENSOR"], group="ingest")

    assert [one.text for one in filters] == [
        "$share/ingest/t/+/+/telemetry",
        "$share/ingest/tele/+/SENSOR",
        "t/+/+/status",
        DROPPED_TOPIC,
    ]


@pytest.mark.parametrize("group", ["", "a/b", "a+", "#", "$a", "a\n", "x" * 65])
def test_filters_refuse_what_is_no_group(group: str) -> None:
    """A broker would take it for another filter, or refuse us."""
    with pytest.raises(Malformed):
        filters_of([], group=group)


@pytest.mark.parametrize(
    ("wider", "narrower", "is_covered"),
    [
        ("#", "a/b", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/+", "a/#", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_filters_know_which_covers_which(wider: str, narrower: str, *, is_covered: bool) -> None:
    """Every topic of the one is a topic of the other, or not."""
    assert covers(wider, narrower) == is_covered


def test_filters_leave_out_what_another_covers() -> None:
    """Some brokers send a message once for each filter that it matches."""
    texts = [one.text for one in filters_of(["a/b", "a/+", "a/+", "t/x/y/telemetry"], group=None)]

    assert texts[:2] == ["t/+/+/telemetry", "a/+"]


def test_messages_pop_a_topic_and_keep_the_rest_together() -> None:
    """Content types stay with their messages."""
    messages = Messages(
        [b"a", b"$x", b"b"], [b"1", b"2", b"3"], [b"\0\1", b"", b"\0\2"], [1, 2, 3], {2: "text/b"}
    )

    popped = messages.pop(lambda topic: topic.startswith(b"$"))

    assert popped == [(b"$x", b"2")]
    assert messages == Messages(
        [b"a", b"b"], [b"1", b"3"], [b"\0\1", b"\0\2"], [1, 3], {1: "text/b"}
    )
