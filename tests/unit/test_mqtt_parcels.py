"""Parcels: what one process packs another unpacks, and junk is nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stream_log import change
from tidegate.mqtt.parcels import Parcel, decode, encode, topic
from tidegate.store.model import Frame, StreamChange

_TEXT = st.text(max_size=20)
_CHANGES = st.builds(
    StreamChange,
    _TEXT,
    _TEXT,
    st.sampled_from(["set", "delete", "event"]),
    st.none() | _TEXT,
    st.none() | st.binary(max_size=50),
)
_FRAMES = st.lists(st.builds(Frame, st.integers(1, 2**62), _CHANGES), max_size=20)


@given(st.text("0123456789abcdef", max_size=64), _FRAMES)
def test_parcel_round_trips(sender: str, frames: list[Frame]) -> None:
    """Frames come out as they went in."""
    assert decode(encode(sender, frames)) == Parcel(1, sender, tuple(frames))


@given(st.binary(max_size=200))
def test_parcel_of_anything_never_fails(payload: bytes) -> None:
    """Any bytes are a parcel or nothing."""
    parcel = decode(payload)

    assert parcel is None or parcel.version == 1


_GOOD = [1, ["game", "g", "set", "k", b"v"]]


@pytest.mark.parametrize(
    "wrong",
    [
        [2, "me", [_GOOD]],
        [1, "m" * 65, [_GOOD]],
        [1, "me", [[0, _GOOD[1]]]],
        [1, "me", [[-1, _GOOD[1]]]],
        [1, "me", [["1", _GOOD[1]]]],
        [1, "me", [[1, ["game", "g", "drop", "k", b"v"]]]],
        [1, "me", [_GOOD] * 257],
        {"version": 1},
        None,
    ],
)
def test_parcel_of_another_form_is_none(wrong: object) -> None:
    """Other versions, numbers, kinds and sizes are ignored."""
    assert decode(msgspec.msgpack.encode([1, "me", [_GOOD]])) is not None

    assert decode(msgspec.msgpack.encode(wrong)) is None


def test_parcel_too_deep_is_none() -> None:
    """Nesting does not end the process."""
    assert decode(b"\x91" * 100_000) is None


def test_topic_is_one_level_whatever_the_realm() -> None:
    """No realm reaches into another one's topics."""
    assert topic("a/+#") == "tidegate/streams/a%2F%2B%23"
    assert encode("me", [Frame(1, change())])
