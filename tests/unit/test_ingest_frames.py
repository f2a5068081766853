"""MQTT packets in bulk: any cut of the stream gives the same messages."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.messages import RETAINED
from cloud.ingest.receiving.frames import BrokenFrame, Trickle, parse, pubacks, publishes

_PINGRESP = b"\xd0\x00"
_SIZES = st.sampled_from([0, 1, 90, 200, 17_000])


def _publish(topic: str, payload: bytes, *, mid: int, head: int = 0x32, mqtt5: bool) -> bytes:
    body = struct.pack(">H", len(topic)) + topic.encode()
    body += struct.pack(">H", mid) if head & 0x06 else b""
    body += b"\x00" if mqtt5 else b""
    return bytes([head]) + _length(len(body) + len(payload)) + body + payload


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (128 if value else 0))
        if not value:
            return bytes(encoded)


@given(st.lists(st.binary(max_size=300), max_size=8), st.data(), st.booleans())
def test_frames_do_not_care_where_the_stream_is_cut(
    payloads: list[bytes],
    data: st.DataObject,
    mqtt5: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Read at any place, in order, nothing lost; `needed` never asks for too much."""
    stream = b"".join(
        _publish("t/a/b/telemetry", payload, mid=mid + 1, mqtt5=mqtt5) + _PINGRESP
        for mid, payload in enumerate(payloads)
    )
    cut = data.draw(st.integers(0, len(stream)))

    head = parse(stream[:cut], mqtt5=mqtt5)
    tail = parse(stream[head.used :], mqtt5=mqtt5)

    assert head.messages.payloads + tail.messages.payloads == payloads
    assert len(head.others + tail.others) == len(payloads)
    assert head.used == cut or head.used + head.needed > cut
    assert head.used + head.needed <= len(stream) + 2
    assert tail.used == len(stream) - head.used


def test_frames_keep_mid_flags_and_topic() -> None:
    """A message's parts are where they belong; QoS 0 has nothing to acknowledge."""
    stream = _publish("t/a/b/status", b"x", mid=258, head=0x33, mqtt5=False)
    stream += _publish("t/a/c/telemetry", b"y", mid=0, head=0x30, mqtt5=False)

    messages = parse(stream, mqtt5=False).messages

    assert messages.topics == [b"t/a/b/status", b"t/a/c/telemetry"]
    assert messages.mids == [b"\x01\x02", b""]
    assert [flags & RETAINED for flags in messages.flags] == [1, 0]


def test_frames_skip_properties() -> None:
    """MQTT 5 properties, also long ones, stand before the payload."""
    for size in (5, 200):
        properties = _length(size) + b"p" * size
        body = b"\x00\x01t\x00\x07" + properties + b"payload"

        messages = parse(b"\x32" + _length(len(body)) + body, mqtt5=True).messages

        assert messages.payloads == [b"payload"]


def test_frames_pubacks_are_one_run_of_bytes() -> None:
    """Every id is acknowledged in the order given, a message without one is not."""
    assert pubacks([b"\x00\x01", b"", b"\x01\x02"]) == b"\x40\x02\x00\x01\x40\x02\x01\x02"


@given(
    st.lists(
        st.tuples(
            st.text("täb/", min_size=1, max_size=99), st.sampled_from([0, 1, 90, 200, 17_000])
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_frames_publishes_are_read_as_they_were_written(
    messages: list[tuple[str, int]],
    mqtt5: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Lengths of one to three bytes; QoS 0, not retained."""
    sent = [(topic, b"x" * size) for topic, size in messages]

    found = parse(publishes(sent, mqtt5=mqtt5), mqtt5=mqtt5)

    assert not found.others
    assert [topic.decode() for topic in found.messages.topics] == [topic for topic, _ in sent]
    assert found.messages.payloads == [payload for _, payload in sent]
    assert set(found.messages.flags) <= {0x30}


@pytest.mark.parametrize(
    "stream", [b"\x32\xff\xff\xff\xff\x01", b"\x32\x02\x00\x09", b"\x32\x05\x00\x01t\x00\x01"]
)
def test_frames_refuse_what_is_not_mqtt(stream: bytes) -> None:
    """A length without an end and a header longer than its packet break the connection."""
    with pytest.raises(BrokenFrame):
        parse(stream, mqtt5=True)


@given(st.binary(max_size=300), st.booleans())
def test_frames_take_any_bytes(stream: bytes, mqtt5: bool) -> None:  # noqa: FBT001 - as above
    """Whatever comes, parsing ends or raises `BrokenFrame`."""
    try:
        found = parse(stream, mqtt5=mqtt5)
    except BrokenFrame:
        return

    assert 0 <= found.used <= len(stream)


def _with_properties(properties: bytes, payload: bytes) -> bytes:
    body = struct.pack(">H", 1) + b"t" + b"\x00\x01" + _length(len(properties)) + properties
    return b"\x32" + _length(len(body) + len(payload)) + body + payload


def test_frames_keep_the_content_type() -> None:
    """It may stand anywhere among a message's properties; user properties may come repeatedly."""
    user = b"\x26" + struct.pack(">H1sH2s", 1, b"a", 2, b"bc")
    before = b"\x01\x01" + b"\x02\0\0\0\x09" + b"\x08\0\x01x" + b"\x09\0\x02yy" + user + user
    subscription = b"\x0b\x80\x01"
    content_type = b"\x03" + struct.pack(">H", 9) + b"text/html"
    stream = _with_properties(b"", b"1") + _with_properties(before + subscription, b"2")
    stream += _with_properties(before + content_type + user, b"3")

    messages = parse(stream, mqtt5=True).messages

    assert messages.payloads == [b"1", b"2", b"3"]
    assert messages.content_types == {2: "text/html"}


def test_frames_move_content_types_with_their_messages() -> None:
    """Behind other messages an index counts on."""
    one = parse(_with_properties(b"\x03\0\x01a", b"1"), mqtt5=True).messages
    two = parse(_with_properties(b"", b"2") + _with_properties(b"\x03\0\x01b", b"3"), mqtt5=True)

    one.extend(two.messages)

    assert one.payloads == [b"1", b"2", b"3"]
    assert one.content_types == {0: "a", 2: "b"}


@given(st.binary(max_size=40))
def test_frames_survive_any_properties(properties: bytes) -> None:
    """Broken properties end the connection, not the reader."""
    with contextlib.suppress(BrokenFrame):
        parse(_with_properties(properties, b"x"), mqtt5=True)


def test_trickle_lets_a_slow_packet_grow() -> None:
    """A kilobyte in each window is enough, however long it takes."""
    trickle = Trickle(60.0)

    verdicts = [trickle.is_stuck(700, 30.0 * n) for n in range(100)]

    assert not any(verdicts)


def test_trickle_ends_what_does_not_grow() -> None:
    """Two bytes now and then are the answers to our pings, not the rest of a packet."""
    trickle = Trickle(60.0)
    trickle.is_stuck(1_000_000, 0.0)
    trickle.is_stuck(2, 61.0)

    assert not trickle.is_stuck(2, 120.0)
    assert trickle.is_stuck(2, 122.0)
    trickle.end()
    assert not trickle.is_stuck(2, 1_000.0)
