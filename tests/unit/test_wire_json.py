"""Our JSON payload: what goes in comes out, and one bad reading costs no good one."""

import math
from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.decoding import check
from tests.support.decoding import decoded_json
from wire.codecs.checks import MAX_PAYLOAD_BYTES, MAX_READINGS
from wire.codecs.json import (
    decode_ack,
    decode_status,
    encode,
    encode_telemetry,
    identities,
)
from wire.errors import Malformed
from wire.ids import MetricName
from wire.messages import Ack, Reading, Status

_PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=120)
_NAMES = _PRINTABLE.map(MetricName)
_VALUES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_READINGS = st.builds(
    Reading,
    values=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=5),
    ts_ms=st.none() | st.integers(-(2**62), 2**62),
    boot=st.just("k3"),
    seq=st.none() | st.integers(1, 2**63 - 1),
)


@given(st.lists(_READINGS, max_size=10), st.none() | st.integers(1, 2**62))
def test_json_batch_round_trips(readings: list[Reading], first: int | None) -> None:
    """What an agent encodes is what the cloud decodes, to the last bit."""
    payload = encode_telemetry(readings, boot="k3", first=first)

    decoded = decoded_json(payload)

    assert decoded.readings == readings
    assert decoded.refused == []
    assert decoded.first == first


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_json_any_bytes_decode_or_are_malformed(payload: bytes) -> None:
    """Nothing that a device sends makes the decoder fail in another way."""
    with suppress(Malformed):
        check(decoded_json(payload), payload)
    assert all(boot and seq >= 1 for boot, seq in identities(payload).values())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "ts": _JSON,
        "boot": _JSON,
        "seq": _JSON,
        "first": _JSON,
        "values": _JSON | st.dictionaries(st.sampled_from("ab"), _JSON),
        "points": _JSON | st.lists(st.fixed_dictionaries({"values": _JSON, "seq": _JSON})),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(_SHAPES)
def test_json_any_shape_decodes_or_is_malformed(shape: dict[str, object]) -> None:
    """Wrong types at any place are refused with a reason, never a crash."""
    payload = msgspec.json.encode(shape)

    try:
        decoded = decoded_json(payload)
    except Malformed:
        return

    assert all(refusal.reason for refusal in decoded.refused)


def test_json_integers_become_floats() -> None:
    """21 and 21.5 have one type."""
    reading = decoded_json(b'{"values":{"t":21}}').readings[0]

    assert reading == Reading({MetricName("t"): 21.0})
    assert type(reading.values[MetricName("t")]) is float


@pytest.mark.parametrize(
    "bad",
    ["NaN", "Infinity", "-Infinity", "1e999", "null", "[1]", '{"a":1}', '"\\ud800"', "9" * 400],
)
def test_json_bad_value_costs_only_its_reading(bad: str) -> None:
    """Whatever a value is, the readings beside it are kept and the bad one is named."""
    payload = (
        '{"boot":"k","points":[{"seq":1,"values":{"a":1}},'
        f'{{"seq":2,"values":{{"a":{bad}}}}},{{"seq":3,"values":{{"a":3}}}}]}}'
    ).encode()

    decoded = decoded_json(payload)

    assert [reading.seq for reading in decoded.readings] == [1, 3]
    assert [refusal.index for refusal in decoded.refused] == [1]
    assert identities(payload)[1] == ("k", 2)


def test_json_columns_are_the_same_as_a_batch() -> None:
    """Columns number their rows from `seq` on; null is no value."""
    columns = b'{"boot":"k","seq":5,"ts":[10,20],"values":{"a":[1,null],"b":[true,"x"]}}'

    readings = decoded_json(columns).readings

    assert readings == [
        Reading({MetricName("a"): 1.0, MetricName("b"): True}, 10, "k", 5),
        Reading({MetricName("b"): "x"}, 20, "k", 6),
    ]


@pytest.mark.parametrize(
    "text", ["2024-05-01T12:00:00Z", "2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00.000+00:00"]
)
def test_json_rfc3339_times_are_read(text: str) -> None:
    """A time may be written in RFC 3339, in any zone."""
    decoded = decoded_json(f'{{"ts":"{text}","values":{{"a":1}}}}'.encode())

    assert decoded.readings[0].ts_ms == 1_714_564_800_000


@pytest.mark.parametrize("ts", ['"yesterday"', '"2024-05-01T12:00:00"', "true", "[]", "1e999"])
def test_json_other_times_are_refused(ts: str) -> None:
    """A time that is neither milliseconds nor RFC 3339 with an offset refuses the reading."""
    decoded = decoded_json(f'{{"points":[{{"ts":{ts},"values":{{"a":1}}}}]}}'.encode())

    assert decoded.readings == []
    assert len(decoded.refused) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b'{"values":{"a":1},"points":[]}',
        b'{"ts":[1,2],"values":{"a":[1]}}',
        b'{"boot":"","values":{"a":1}}',
        b'{"boot":"a\\nb","values":{"a":1}}',
        b'{"first":0,"values":{"a":1}}',
        b'{"points":3}',
        b"[" * 100_000,
        b" " * (MAX_PAYLOAD_BYTES + 1),
        msgspec.json.encode({"points": [{"values": {"a": 1}}] * (MAX_READINGS + 1)}),
    ],
)
def test_json_unusable_payloads_are_malformed(payload: bytes) -> None:
    """A payload that cannot be read as a whole is refused as a whole."""
    with pytest.raises(Malformed):
        decoded_json(payload)


def test_json_not_a_number_is_never_taken() -> None:
    """The strict decoder knows no NaN, the lenient one refuses it."""
    decoded = decoded_json(b'{"values":{"a":NaN}}')

    assert not any(math.isnan(v) for r in decoded.readings for v in r.values.values())  # type: ignore[arg-type]  # only numbers could be here
    assert decoded.refused[0].reason == "value of 'a' is not finite"


def test_json_acks_and_statuses_round_trip() -> None:
    """The two small messages come back as they went."""
    ack, status = Ack("k3", 17), Status("online", boot="k3")

    assert decode_ack(encode(ack)) == ack
    assert decode_status(encode(status)) == status
    with pytest.raises(Malformed):
        decode_status(b'{"state":"sleeping"}')


def test_json_too_large_a_payload_shows_no_identities() -> None:
    """Looking for them would cost what the limit is there to save."""
    payload = b'{"boot":"k","seq":1,"values":{"t":1}}'
    blank = b" " * (MAX_PAYLOAD_BYTES - len(payload))

    assert identities(payload + blank) == {0: ("k", 1)}
    assert identities(payload + blank + b" ") == {}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"values":{"a":1,"a":2}}',
        b'{"values":{"a":1,"b":1,"\\u0061":2}}',
        b'{"ts":"2024-05-01T12:00:00Z","values":{"a":1,"a":1}}',
        b'{"values":{"a":"\\u003a","a":1}}',
        b'{"values":{"a":1,"b":"\\u003a","a":1}}',
        b'{"values":{"a:":"::","a:":1}}',
        b'{"points":[{"values":{"a":1},"seq":1,"seq":2}]}',
        b'{"points":[{"values":{"a":1},"values":{"b":2}}]}',
        b'{"points":[{"values":{"a":1},"ts":null,"ts":5}]}',
    ],
)
def test_json_name_that_stands_twice_refuses_its_reading(payload: bytes) -> None:
    """Which of the two is meant, nobody knows; readings beside it are kept."""
    decoded = decoded_json(payload)

    assert decoded.readings == []
    assert [one.reason for one in decoded.refused] == ["a name stands twice in one object"]


def test_json_name_that_stands_twice_costs_no_other_reading() -> None:
    """The reading before and the one behind are taken."""
    decoded = decoded_json(
        b'{"boot":"k","points":[{"seq":1,"values":{"a":1}},{"seq":2,"values":{"a":1,"a":2}},'
        b'{"seq":3,"values":{"a":3}}]}'
    )

    assert [reading.seq for reading in decoded.readings] == [1, 3]
    assert [refusal.index for refusal in decoded.refused] == [1]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"seq":1,"seq":2,"boot":"k","values":{"a":1}}',
        b'{"values":{"a":1},"values":{"a":2}}',
        b'{"ts":[1],"values":{"a":[1],"a":[2]}}',
        b'{"points":[],"points":[]}',
    ],
)
def test_json_name_that_stands_twice_around_readings_is_malformed(payload: bytes) -> None:
    """In the object that holds all of them it makes all of them doubtful."""
    with pytest.raises(Malformed, match="stands twice"):
        decoded_json(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"ts":"2024-05-01T12:00:00Z","values":{"a:b":1,"mode":"x:y"}}',
        b'{"values":{"a":1},"note":{"x":{"y":"z:"},"x":1}}',
        b'{"values":{"a":"\\":"}}',
        b'{"ts":["2024-05-01T12:00:00Z"],"values":{"a":[":"]}}',
    ],
)
def test_json_other_colons_are_no_names(payload: bytes) -> None:
    """Colons in texts, and names in what we do not read, make nobody suspect."""
    decoded = decoded_json(payload)

    assert (len(decoded.readings), decoded.refused) == (1, [])


_PAIRS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "a:", "\\u0061"]), st.sampled_from(["1", '":"', "null"])),
    min_size=1,
    max_size=4,
)


@given(_PAIRS, st.sampled_from(["", '"ts":null,', '"ts":"2024-05-01T12:00:00Z",', '"x":{"a":1},']))
def test_json_no_name_that_stands_twice_is_missed(pairs: list[tuple[str, str]], rest: str) -> None:
    """Counting colons finds the same as looking at every name."""
    names = [name.replace("\\u0061", "a") for name, _ in pairs]
    body = ",".join(f'"{name}":{value}' for name, value in pairs)

    decoded = decoded_json(f'{{{rest}"values":{{{body}}}}}'.encode())

    is_refused = bool(decoded.refused) and "stands twice" in decoded.refused[0].reason
    assert is_refused == (len(set(names)) < len(names))
