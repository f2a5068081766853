"""Sparkplug payloads: bytes made by hand, every data type, and what is broken."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.codecs.checks import MAX_PAYLOAD_BYTES, MAX_TEXT_CHARS
from wire.codecs.sparkplug import (
    MAX_METRICS,
    Metric,
    Payload,
    decode,
    encode,
    sent,
    value_of,
)
from wire.codecs.sparkplug_types import DataType
from wire.errors import Malformed

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_U64 = st.integers(0, 2**64 - 1)
_UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def _varint(number: int) -> bytes:
    head = b""
    while number > 0x7F:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def _float(number: float) -> bytes:
    return _varint(12 << 3 | _FIXED32) + struct.pack("<f", number)


def _double(number: float) -> bytes:
    return _varint(13 << 3 | _FIXED64) + struct.pack("<d", number)


def _one(*fields: bytes) -> Metric:
    (metric,) = decode(_bytes(2, b"".join(fields))).metrics
    return metric


def test_codec_reads_bytes_made_by_hand() -> None:
    """Field numbers and wire types are those of the specification, not just our own."""
    metric = _bytes(1, b"Motor/Speed") + _number(2, 7) + _number(3, 1_700_000_000_123)
    metric += _number(4, 10) + _number(5, 1) + _number(6, 1) + _double(21.5)
    data = _number(1, 1_700_000_000_000) + _bytes(2, metric) + _number(3, 255)

    payload = decode(data)

    expected = Metric(
        name="Motor/Speed",
        alias=7,
        ts_ms=1_700_000_000_123,
        datatype=10,
        kind="double",
        raw=21.5,
        is_historical=True,
        is_transient=True,
    )
    assert payload == Payload([expected], 1_700_000_000_000, 255)
    assert encode(payload) == data


def test_codec_tells_absent_from_zero() -> None:
    """Sequence 0 and alias 0 are sent as such; what is absent is None."""
    with_zeros = decode(_bytes(2, _number(2, 0) + _number(7, 1)) + _number(3, 0))
    empty = decode(b"")

    assert (with_zeros.seq, with_zeros.metrics[0].alias) == (0, 0)
    assert with_zeros.metrics[0].is_null
    assert empty == Payload([])


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [
        (1, _number(10, 0xFF), -1.0),  # Int8 in its own width
        (1, _number(10, 0xFFFFFFFF), -1.0),  # Int8 as wide as the field
        (1, _number(10, 127), 127.0),
        (1, _number(11, 2**64 - 128), -128.0),
        (2, _number(10, 0x8000), -32768.0),
        (2, _number(10, 0xFFFF8000), -32768.0),
        (3, _number(10, 0x80000000), -(2.0**31)),
        (3, _number(11, 2**64 - 5), -5.0),
        (4, _number(11, 2**64 - 1), -1.0),
        (4, _number(11, 2**63), -(2.0**63)),
        (5, _number(10, 255), 255.0),
        (6, _number(10, 65535), 65535.0),
        (7, _number(10, 2**32 - 1), 2.0**32 - 1),
        (7, _number(11, 2**32 - 1), 2.0**32 - 1),
        (8, _number(11, 2**64 - 1), 2.0**64),
        (9, _float(0.5), 0.5),
        (10, _double(-1e300), -1e300),
        (10, _float(0.5), 0.5),
        (11, _number(14, 1), True),
        (11, _number(14, 0), False),
        (12, _bytes(15, "Größe".encode()), "Größe"),
        (13, _number(11, 1_700_000_000_000), 1_700_000_000_000.0),
        (14, _bytes(15, b""), ""),
        (15, _bytes(15, _UUID.encode()), _UUID),
    ],
)
def test_codec_value_of_every_data_type(datatype: int, field: bytes, value: object) -> None:
    """Signed integers are two's complements in fields without sign, of either width."""
    found = value_of(_one(_number(4, datatype), field), datatype)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("datatype", "field", "reason"),
    [
        (1, _number(10, 300), "fit"),
        (5, _number(10, 256), "fit"),
        (6, _number(11, 2**40), "fit"),
        (3, _double(1.0), "another kind"),
        (9, _number(10, 1), "another kind"),
        (11, _bytes(15, b"true"), "another kind"),
        (9, _float(float("nan")), "finite"),
        (10, _double(float("-inf")), "finite"),
        (12, _bytes(15, b"x" * (MAX_TEXT_CHARS + 1)), "more than"),
        (12, _bytes(15, b"\xff"), "UTF-8"),
        (16, _bytes(17, b""), "a data set"),
        (17, _bytes(16, b"abc"), "bytes"),
        (18, _bytes(16, b"abc"), "a file"),
        (19, _bytes(18, b""), "a template"),
        (20, b"", "a property set"),
        (22, _bytes(16, b"\x01"), "an array"),
        (34, b"", "an array"),
        (9, b"", "no value"),
        (99, _number(10, 1), "another kind"),
        (0, _number(10, 1), "another kind"),
    ],
)
def test_codec_refuses_what_is_no_single_value(datatype: int, field: bytes, reason: str) -> None:
    """Each with a reason; it costs nobody but the metric itself."""
    metric = _one(_bytes(1, b"m"), _number(4, datatype), field)

    with pytest.raises(Malformed, match=reason):
        value_of(metric, datatype)


def test_codec_without_data_type_takes_what_leaves_no_doubt() -> None:
    """A text or a float speaks for itself; an integer may be signed or not."""
    assert value_of(_one(_float(2.0)), None) == 2.0
    assert value_of(_one(_bytes(15, b"on")), None) == "on"
    with pytest.raises(Malformed, match="no data type"):
        value_of(_one(_number(10, 1)), None)


@pytest.mark.parametrize(
    "broken",
    [b"\x0a\x05ab", b"\x0a\x02\xff\xfe", _bytes(1, b"x" * 2_000), b"\x07", b"\x1b"],
)
def test_codec_broken_metric_costs_only_itself(broken: bytes) -> None:
    """Cut off, no UTF-8, a name without end, a wire type that is none."""
    good = _bytes(1, b"good") + _number(4, 9) + _float(1.0)

    first, second = decode(_bytes(2, broken) + _bytes(2, good)).metrics

    assert first.fault
    assert (second.name, second.fault, second.raw) == ("good", None, 1.0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x12\x7f",
        b"junk",
        b'{"values":{}}',
        _number(3, 256),
        b"\x12\x00" * (MAX_METRICS + 1),
        b"\x12\x00" * (MAX_PAYLOAD_BYTES // 2 + 1),
    ],
)
def test_codec_refuses_what_is_no_payload(data: bytes) -> None:
    """Not protobuf, a sequence beyond 255, more metrics or bytes than anybody sends."""
    with pytest.raises(Malformed):
        decode(data)


def test_codec_skips_what_it_does_not_know() -> None:
    """Metadata, properties, a body, a UUID, and whatever a later version adds."""
    metric = _bytes(1, b"m") + _bytes(8, b"\x0a\x00") + _bytes(9, b"\xff\xff") + _float(1.0)
    data = _bytes(2, metric) + _bytes(4, b"uuid") + _bytes(5, b"body") + _number(99, 5)

    assert decode(data).metrics[0].raw == 1.0


_KINDS = {
    "int": st.integers(0, 2**32 - 1),
    "long": _U64,
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(max_size=50),
}
_NAMES = st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace").decode())


@st.composite
def _metrics(draw: st.DrawFn) -> Metric:
    kind = draw(st.sampled_from([None, *_KINDS]))
    raw: Any = None if kind is None else draw(_KINDS[kind])
    flags = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    return Metric(
        draw(st.none() | _NAMES),
        draw(st.none() | _U64),
        draw(st.none() | _U64),
        draw(st.none() | st.integers(0, 2**32 - 1)),
        kind,  # type: ignore[arg-type]  # drawn from the kinds
        raw,
        *flags,
    )


@settings(deadline=None)
@given(
    st.builds(
        Payload, st.lists(_metrics(), max_size=5), st.none() | _U64, st.none() | st.integers(0, 255)
    )
)
def test_codec_round_trip(payload: Payload) -> None:
    """What was encoded is decoded to the same."""
    assert decode(encode(payload)) == payload


_RANGES = {
    DataType.INT8: (-(2**7), 2**7 - 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.INT64: (-(2**53), 2**53),
    DataType.UINT8: (0, 2**8 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.UINT64: (0, 2**53),
    DataType.DATETIME: (0, 2**53),
}


@settings(deadline=None)
@given(st.data(), st.sampled_from(sorted(_RANGES)))
def test_codec_integers_round_trip(data: st.DataObject, datatype: DataType) -> None:
    """Every number that a type can hold comes back; the next one beyond is refused."""
    low, high = _RANGES[datatype]
    number = data.draw(st.integers(low, high))

    (metric,) = decode(encode(Payload([sent("m", number, datatype)]))).metrics

    assert value_of(metric, datatype) == number
    if high < 2**53:
        for beyond in (low - 1, high + 1):
            with pytest.raises(Malformed):
                sent("m", beyond, datatype)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_codec_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No exception but the declared one, for the payload and for each metric of it."""
    try:
        payload = decode(data)
    except Malformed:
        return
    for metric in payload.metrics:
        for datatype in (None, metric.datatype, 1, 8, 9, 12):
            with suppress(Malformed):
                value_of(metric, datatype)
