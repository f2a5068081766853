"""Our payload in MessagePack: what JSON promises, it promises too."""

import math
import struct

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.decoding import decoded_json, decoded_msgpack
from wire.codecs import msgpack
from wire.codecs.checks import MAX_PAYLOAD_BYTES, MAX_READINGS
from wire.codecs.msgpack_names import decoded_with_names
from wire.errors import Malformed
from wire.messages import Reading

_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_VALUES = st.dictionaries(st.sampled_from(["a", "aa", "ts", "b"]), _ANY)
_SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "ts": _ANY,
        "boot": _ANY | st.just("k"),
        "seq": _ANY,
        "values": _ANY | _VALUES,
        "points": _ANY | st.lists(st.fixed_dictionaries({"values": _VALUES, "seq": _ANY})),
    },
)


def _packed(*pairs: tuple[object, object]) -> bytes:
    """Pack an object whose names may repeat."""
    parts = [msgspec.msgpack.encode(one) for pair in pairs for one in pair]
    return bytes([0x80 + len(pairs)]) + b"".join(parts)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(_SHAPES)
def test_msgpack_says_what_json_says(shape: dict[str, object]) -> None:
    """The same object is the same readings, or malformed, in both; whatever is in it."""
    packed = msgspec.msgpack.encode(shape)
    try:
        expected = decoded_json(msgspec.json.encode(shape))
    except Malformed:
        with pytest.raises(Malformed):
            decoded_msgpack(packed)
        return

    decoded = decoded_msgpack(packed)

    assert decoded.first == expected.first
    if b"\xc4" not in packed:  # JSON turns bytes into texts
        assert decoded.readings == expected.readings
        assert [one.index for one in decoded.refused] == [one.index for one in expected.refused]


def test_msgpack_reads_the_three_shapes() -> None:
    """Single, batch and columns; integers become floats, nil in a column is no value."""
    point = {"ts": 10, "seq": 5, "values": {"a": 21, "ok": True}}
    columns = {"boot": "k", "seq": 5, "ts": [10, 20], "values": {"a": [21, None], "b": [1, 2]}}

    single = decoded_msgpack(msgspec.msgpack.encode({"boot": "k", **point}))
    batch = decoded_msgpack(msgspec.msgpack.encode({"boot": "k", "points": [point]}))
    rows = decoded_msgpack(msgspec.msgpack.encode(columns))

    assert single.readings == batch.readings == [Reading({"a": 21.0, "ok": True}, 10, "k", 5)]  # type: ignore[dict-item]  # names are texts here
    assert type(single.readings[0].values["a"]) is float  # type: ignore[index]  # as above
    assert [reading.values for reading in rows.readings] == [{"a": 21.0, "b": 1.0}, {"b": 2.0}]


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, [1], {"a": 1}, b"x", "x" * 5_000])
def test_msgpack_bad_value_costs_only_its_reading(bad: object) -> None:
    """The readings beside it are kept; the refused one still shows its sequence."""
    values = [{"a": 1}, {"a": bad, "b": bad}, {"a": 3}]
    points = [{"seq": index + 1, "values": one} for index, one in enumerate(values)]
    payload = msgspec.msgpack.encode({"boot": "k", "points": points})

    decoded = decoded_msgpack(payload)

    assert [reading.seq for reading in decoded.readings] == [1, 3]
    assert [refusal.index for refusal in decoded.refused] == [1]
    assert msgpack.identities(payload) == {0: ("k", 1), 1: ("k", 2), 2: ("k", 3)}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x80",
        b"\x80\x80",
        b"\x91" * 5_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\x7f\xff\xff\xff\x01",
        b"\xdb\x7f\xff\xff\xffa",
        b"\x81\xa6values\x81\x91\x01\x02",
        b"\x81\xa1\xff\x01",
        b"\xc0" * (MAX_PAYLOAD_BYTES + 1),
        msgspec.msgpack.encode({"points": [{"values": {"a": 1}}] * (MAX_READINGS + 1)}),
    ],
)
def test_msgpack_unusable_payloads_are_malformed(payload: bytes) -> None:
    """Depth, declared lengths, sizes and names that are no texts: refused, at no cost."""
    with pytest.raises(Malformed):
        decoded_msgpack(payload)
    assert msgpack.identities(payload) == {}


@pytest.mark.parametrize(
    "payload",
    [
        _packed(("values", {"a": 1}), ("values", {"b": 1})),
        _packed(("boot", "k"), ("boot", "k"), ("values", {"a": 1})),
        _packed(("ts", None), ("ts", 5), ("values", {"a": 1})),
    ],
)
def test_msgpack_name_that_stands_twice_is_malformed(payload: bytes) -> None:
    """Around the readings it makes all of them doubtful."""
    with pytest.raises(Malformed, match="stands twice"):
        decoded_msgpack(payload)


@pytest.mark.parametrize(
    "values",
    [
        _packed(("a", 1), ("a", 1)),
        _packed(("a", 1.5), ("aa", 2), ("aa", 3)),
        b"\x82\xa1a\x01\xd9\x01a\x02",
        b"\xde\x00\x64" + b"".join(_packed((f"n{n % 99}", n))[1:] for n in range(100)),
        b"\x83\xa1a\xca" + struct.pack(">f", 1) + b"\xa1b\x01\xa1b\x02",
    ],
)
def test_msgpack_name_that_stands_twice_refuses_its_reading(values: bytes) -> None:
    """However it is encoded; readings beside it are kept."""
    payload = b"\x81\xa6points\x92\x81\xa6values\x81\xa1a\x01\x81\xa6values" + values

    decoded = decoded_msgpack(payload)

    assert len(decoded.readings) == 1
    assert [(one.index, "stands twice" in one.reason) for one in decoded.refused] == [(1, True)]


@given(_ANY)
def test_msgpack_slow_decoder_agrees_with_the_fast_one(value: object) -> None:
    """What is looked at closely is read like everything else."""
    assert decoded_with_names(msgspec.msgpack.encode({"x": value})) == ({"x": value}, False)


def test_msgpack_many_names_cost_no_more_than_their_bytes() -> None:
    """Payloads of very many names are read once through; all of them are found."""
    points = [
        {"values": {f"n{start + n}": n for n in range(1_000)}} for start in range(0, 90_000, 1_000)
    ]

    decoded = decoded_msgpack(msgspec.msgpack.encode({"points": points}))

    assert [len(reading.values) for reading in decoded.readings] == [1_000] * 90
