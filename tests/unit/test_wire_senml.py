"""SenML: bases, times and names resolved; JSON and CBOR say the same."""

import math
from decimal import Decimal
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codecs import senml, senml_cbor
from wire.codecs.checks import MAX_PAYLOAD_BYTES, MAX_READINGS
from wire.codecs.senml import MAX_BASE_NAME_CHARS
from wire.errors import Malformed
from wire.messages import Decoded, Reading

_T = 1_700_000_000
_CBOR = {name: label for label, name in senml_cbor._LABELS.items()}


def _decoded(*records: dict[str, Any]) -> Decoded:
    """Decode a pack in both encodings; they must agree."""
    from_json = senml.decode_json(msgspec.json.encode(records))
    labelled = [{_CBOR.get(key, key): value for key, value in one.items()} for one in records]
    from_cbor = senml_cbor.decode_cbor(cbor2.dumps(labelled))
    assert from_json == from_cbor
    return from_json


def _named(*records: dict[str, Any]) -> list[str]:
    return [name for reading in _decoded(*records).readings for name in reading.values]


def _reading(values: Any, ts_ms: int | None = None, age_ms: int | None = None) -> Any:
    return Reading(values, ts_ms, age_ms=age_ms)


def test_senml_groups_records_by_time() -> None:
    """Bases add up, and what was measured at one time is one reading."""
    decoded = _decoded(
        {"bn": "urn:dev:ow:10e2073a:", "bt": _T, "bu": "Cel", "bv": 20, "n": "inside", "v": 1.5},
        {"n": "outside", "v": -15},
        {"n": "inside", "t": 60.25, "v": 2},
        {"n": "door", "vb": True},
        {"n": "mode", "t": 60.25, "vs": "auto"},
    )

    assert decoded.readings == [
        _reading({"inside": 21.5, "outside": 5.0, "door": True}, _T * 1_000),
        _reading({"inside": 22.0, "mode": "auto"}, _T * 1_000 + 60_250),
    ]
    assert decoded.refused == []


@pytest.mark.parametrize(
    ("fields", "ts_ms", "age_ms"),
    [
        ({}, None, None),
        ({"t": 0}, None, None),
        ({"t": -1.5}, None, 1_500),
        ({"t": 2}, None, -2_000),
        ({"bt": -5, "t": 1}, None, 4_000),
        ({"bt": 2**28}, 2**28 * 1_000, None),
        ({"bt": 2**28 - 1}, None, -(2**28 - 1) * 1_000),
        ({"bt": _T, "t": -_T}, None, None),
    ],
)
def test_senml_small_times_are_relative(
    fields: dict[str, float], ts_ms: int | None, age_ms: int | None
) -> None:
    """Below 2**28 a time counts from the arrival, backwards when it is negative."""
    assert _decoded({"n": "a", "v": 1, **fields}).readings == [_reading({"a": 1.0}, ts_ms, age_ms)]


def test_senml_names_leave_out_a_shared_base() -> None:
    """A base that ends at a separator and holds for all is left out, else the name is whole."""
    assert _named({"bn": "dev:", "n": "a", "v": 1}, {"n": "b", "v": 2}) == ["a", "b"]
    assert _named({"bn": "dev:", "v": 1}, {"n": "b", "v": 2}) == ["dev", "b"]
    assert _named({"bn": "dev", "n": "a", "v": 1}, {"n": "b", "v": 2}) == ["deva", "devb"]
    assert _named({"bn": "x/", "n": "a", "v": 1}, {"bn": "y/", "n": "a", "v": 2}) == ["x/a", "y/a"]
    assert _named({"n": "a", "v": 1}, {"bn": "y/", "n": "a", "v": 2}) == ["a", "y/a"]
    assert _named({"bn": "x/"}, {"bn": "y/", "n": "a", "v": 2}) == ["a"]
    assert _named({"bn": ":", "n": "a", "v": 1}) == [":a"]


def test_senml_sums_are_metrics_of_their_own() -> None:
    """A sum stands beside its value, and the base sum is added."""
    decoded = _decoded({"bs": 100, "n": "power", "v": 5, "s": 1}, {"n": "energy", "s": 2})

    assert decoded.readings[0].values == {"power": 5.0, "power.sum": 101.0, "energy.sum": 102.0}


def test_senml_base_stands_for_a_value_that_is_absent() -> None:
    """A record with a name and no value has the base value, or the base sum."""
    assert _decoded({"bv": 20, "n": "a"}).readings[0].values == {"a": 20.0}
    assert _decoded({"bs": 7, "n": "a"}).readings[0].values == {"a.sum": 7.0}
    assert _decoded({"bn": "x", "bv": 20}) == Decoded([])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "b", "vd": "aGkK"}, "vd"),
        ({"n": "b"}, "no value"),
        ({"n": "b", "v": 1, "vs": "x"}, "more than one"),
        ({"n": "b", "v": "1"}, "v is not a finite number"),
        ({"n": "b", "v": True}, "v is not a finite number"),
        ({"n": "b", "v": None}, "v is not a finite number"),
        ({"n": "b", "vs": 1}, "vs is not a text"),
        ({"n": "b", "vb": 1}, "neither true nor false"),
        ({"n": 5, "v": 1}, "n is not a text"),
        ({"v": 1}, "name is empty"),
        ({"n": "x\n", "v": 1}, "name"),
        ({"n": "a", "v": 2}, "stands twice"),
        ({"n": "b", "v": 1, "t": "now"}, "t is not a finite number"),
        ({"n": "b", "v": 1, "t": 1e300}, "out of range"),
        ({"n": "b", "vs": "x" * 5_000}, "longer than"),
    ],
)
def test_senml_bad_record_costs_no_other(record: dict[str, Any], reason: str) -> None:
    """It is refused with its place among the rest, which is taken."""
    decoded = _decoded({"n": "a", "v": 1}, record, {"n": "c", "v": 3})

    assert [reading.values for reading in decoded.readings] == [{"a": 1.0, "c": 3.0}]
    assert [refusal.index for refusal in decoded.refused] == [1]
    assert reason in decoded.refused[0].reason


@pytest.mark.parametrize(
    "records",
    [
        [{"bver": 11, "n": "a", "v": 1}],
        [{"bver": "10", "n": "a", "v": 1}],
        [{"bver": 10, "n": "a", "v": 1}, {"bver": 5, "n": "b", "v": 1}],
        [{"n": "a", "v": 1, "flavour_": 2}],
        [{"bn": 5, "n": "a", "v": 1}],
        [{"bn": "x" * MAX_BASE_NAME_CHARS + ":", "n": "a", "v": 1}],
        [{"bt": "x", "n": "a", "v": 1}],
        [{"bv": None, "n": "a", "v": 1}],
        [{"n": "a", "v": 1}] * (MAX_READINGS + 1),
    ],
)
def test_senml_unusable_pack_is_malformed(records: list[dict[str, Any]]) -> None:
    """What holds for all records makes all of them doubtful."""
    with pytest.raises(Malformed):
        _decoded(*records)


def test_senml_known_versions_and_unknown_labels_are_taken() -> None:
    """Versions up to 10, secondary units; labels that need not be understood are ignored."""
    for version in (5, 10, 26):
        assert _named({"bver": version, "n": "a", "u": "dBm", "v": 1, "flavour": "x"}) == ["a"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[1]", b"[" * 5_000, b"junk", b"[]" + b" " * MAX_PAYLOAD_BYTES, b"\xff[]"],
)
def test_senml_json_that_is_no_pack_is_malformed(payload: bytes) -> None:
    """Anything else than a list of objects is refused as a whole."""
    with pytest.raises(Malformed):
        senml.decode_json(payload)


def test_senml_json_names_what_stands_twice_or_is_no_number() -> None:
    """Doubtful records are refused, in base values they cost the pack."""
    decoded = senml.decode_json(
        b'[{"n":"a:","v":1},{"n":"b","v":1,"v":2},{"n":"c","v":NaN},{"n":"\\u003ad","v":4}]'
    )

    assert decoded.readings == [_reading({"a:": 1.0, ":d": 4.0})]
    assert [refusal.index for refusal in decoded.refused] == [1, 2]
    assert senml.decode_json(b'[{"n":"a","v":1,"u":"\\u003a","v":2}]').readings == []
    with pytest.raises(Malformed, match="stands twice"):
        senml.decode_json(b'[{"bn":"a","bn":"b","n":"c","v":1}]')


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "a0",
        "81a1020100",  # bytes behind the end
        "9b7fffffffffffffff",  # lengths that are only declared
        "bb7fffffffffffffff",
        "5b7fffffffffffffff",
        "7b7fffffffffffffff61",
        "81" * 40 + "00",
        "81a16161" + "81" * 20 + "00",
        "d81c81a10201",  # shared references
        "d90100a10201",
        "81a102c249ffffffffffffffffff",  # big number
        "81a102d81e820102",  # rational
        "81a102c4821b7fffffffffffffff01",  # decimal fraction with a huge exponent
        "81a102c401",
        "81a202010202",  # a label twice
        "81a102c11a5f5e1000",  # time
        "81a103623fff",
        "d823617b",
    ],
)
def test_senml_cbor_hostile_payloads_are_malformed(payload: str) -> None:
    """Lengths, depth, tags and doubled labels: refused, before anything is made of them."""
    with pytest.raises(Malformed):
        senml_cbor.decode_cbor(bytes.fromhex(payload))


def test_senml_cbor_takes_what_the_rfc_lets_stand_for_numbers() -> None:
    """Small floats, decimal fractions; the mark of CBOR and indefinite lengths are no harm."""
    records = [{0: "a", 2: Decimal("1.25")}, {0: "b", 2: 1.5}]
    indefinite = bytes.fromhex("9fbf00616102fa3fc00000ffff")

    plain = senml_cbor.decode_cbor(cbor2.dumps(records, canonical=True))
    marked = senml_cbor.decode_cbor(b"\xd9\xd9\xf7" + cbor2.dumps(records))

    assert plain.readings == marked.readings == [_reading({"a": 1.25, "b": 1.5})]
    assert senml_cbor.decode_cbor(indefinite).readings == [_reading({"a": 1.5})]


def test_senml_cbor_takes_the_labels_of_json_too() -> None:
    """They are read as such, not ignored; a label in both spellings stands twice."""
    records: list[dict[Any, Any]] = [{"bn": "dev:", "n": "a", "v": 1}, {0: "b", 2: 2, "v": 3}]

    decoded = senml_cbor.decode_cbor(cbor2.dumps(records))

    assert decoded.readings == [_reading({"a": 1.0})]
    assert [(one.index, "stands twice" in one.reason) for one in decoded.refused] == [(1, True)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.floats(-1e9, 1e9), st.integers(-1_000, 1_000) | st.just(_T)
        )
    )
)
def test_senml_every_record_has_a_fate(rows: list[tuple[str, float, float]]) -> None:
    """As many values and refusals come out as records went in, and no number changes."""
    decoded = _decoded(*({"n": name, "v": value, "t": time} for name, value, time in rows))

    values = [value for reading in decoded.readings for value in reading.values.values()]
    assert len(values) + len(decoded.refused) == len(rows)
    assert all(isinstance(value, float) and math.isfinite(value) for value in values)
