"""Payloads of columns: taken as a table where nothing needs a look, else reading by reading."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codecs.json import decode_telemetry
from wire.codecs.msgpack import decode_telemetry as decode_packed
from wire.codecs.telemetry import MAX_SEQ, Payload, taken
from wire.errors import Malformed
from wire.ids import MetricName
from wire.messages import Decoded, Table

_COLUMNS: dict[str, Any] = {
    "boot": "k",
    "seq": 7,
    "ts": [10, 20, 30],
    "values": {"t": [1.0, 2, 3.5], "u": [4.0, 5.0, 6.0]},
}


def _decoded(**changed: Any) -> Decoded | Table:
    fields = {**_COLUMNS, **changed}
    return decode_telemetry(json.dumps({k: v for k, v in fields.items() if v is not None}).encode())


def test_columns_of_numbers_are_a_table() -> None:
    """As they came, whole numbers as floats."""
    table = _decoded(first=3)

    metrics = (MetricName("t"), MetricName("u"))
    assert table == Table(metrics, [10, 20, 30], [[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]], "k", 7, 3)
    assert table.size() == 3
    assert isinstance(table, Table)
    assert table.last_seq == 9


@pytest.mark.parametrize(
    "changed",
    [
        {"boot": None},
        {"seq": None},
        {"seq": 0},
        {"seq": MAX_SEQ - 1},
        {"ts": [10, 20, "2026-01-01T00:00:00Z"]},
        {"ts": [10, None, 30]},
        {"ts": [], "values": {"t": []}},
        {"values": {"t": [1.0, None, 3.0]}},
        {"values": {"t": [1.0, True, 3.0]}},
        {"values": {"t": [1.0, "on", 3.0]}},
        {"values": {"t": [1e308, 1e308, 1e308]}},
        {"values": {" t": [1.0, 2.0, 3.0]}},
        {"values": {}},
    ],
)
def test_columns_that_need_a_look_are_taken_reading_by_reading(changed: dict[str, Any]) -> None:
    """Whatever is missing, is no number, or is at fault."""
    assert isinstance(_decoded(**changed), Decoded)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"values": {"t": [1.0, 2.0]}}, "one value for each ts"),
        ({"boot": ""}, "boot"),
        ({"first": 0}, "first"),
        ({"ts": [1] * 10_001, "values": {"t": [1.0] * 10_001}}, "more than 10000 readings"),
    ],
)
def test_columns_that_are_no_payload_are_refused(changed: dict[str, Any], reason: str) -> None:
    """With the reason that the slow way gives."""
    with pytest.raises(Malformed, match=reason):
        _decoded(**changed)


_times = st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=6)
_numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.data(),
    _times,
    st.integers(1, MAX_SEQ),
    st.none() | st.integers(1, 9),
    st.lists(st.sampled_from(["t", "u", "v %"]), min_size=1, unique=True),
)
def test_table_says_what_the_slow_way_says(
    data: st.DataObject, times: list[int], seq: int, first: int | None, names: list[str]
) -> None:
    """Reading by reading, and whatever packs it."""
    columns: Any = {name: [data.draw(_numbers) for _ in times] for name in names}
    raw = Payload(list(times), "k", seq, first, columns)

    found = decode_telemetry(msgspec.json.encode(raw))
    packed = decode_packed(msgspec.msgpack.encode(raw))

    assert found.by_reading() == packed.by_reading() == taken(raw)
