"""InfluxDB's line protocol: every type and escape, one bad line costs one line."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codecs.checks import MAX_PAYLOAD_BYTES, MAX_READINGS, MAX_TEXT_CHARS, MAX_VALUES
from wire.codecs.formats import SHIPPED
from wire.codecs.line.protocol import PRECISIONS, decode_lines
from wire.codecs.packing import unpacked
from wire.errors import Malformed
from wire.ids import MAX_METRIC_CHARS
from wire.messages import Reading, Value

_AT_NS = 1_700_000_000_123_456_789


def _values(line: str) -> dict[str, Value]:
    (reading,) = _readings(line)
    return {str(name): value for name, value in reading.values.items()}


def _readings(text: str, precision: str = "ns") -> list[Reading]:
    decoded = decode_lines(text.encode(), precision=precision)
    assert decoded.refused == []
    return decoded.readings


def _reasons(text: str) -> list[tuple[int, str]]:
    return [(one.index, one.reason) for one in decode_lines(text.encode()).refused]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1.0),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1_000.0),
        ("1E-3", 0.001),
        ("3i", 3.0),
        ("-9223372036854775808i", -(2.0**63)),
        ("18446744073709551615u", 2.0**64),
        *((text, True) for text in ("t", "T", "true", "True", "TRUE")),
        *((text, False) for text in ("f", "F", "false", "False", "FALSE")),
        ('""', ""),
        ('"a, b=c"', "a, b=c"),
        (r'"say \"hi\" \\ \n"', r'say "hi" \ \n'),
        ('"two\nlines"', "two\nlines"),
    ],
)
def test_line_protocol_reads_every_type(written: str, value: Value) -> None:
    """Numbers are floats, whatever their suffix; texts keep line feeds and other backslashes."""
    values = _values(f"m f={written}")

    assert values == {"m.f": value}
    assert type(values["m.f"]) is type(value)


@pytest.mark.parametrize(
    "written",
    ["+1", "-", ".", "1e", "1.1.1", "0x10", "nan", "NaN", "inf", "1e400", "1_0", "1ii", "i", "1.5i",
     "9223372036854775808i", "18446744073709551616u", "-1u", "tRUE", "yes", "'a'", '"a', '"a"b', "",
     "1" * 500, "1,", "1,g", "1,=2", "1 x", "1 1.5", "1 5 6", "1 -", "1 9223372036854775807",
     "1 " + "9" * 500],
)  # fmt: skip
def test_line_protocol_refuses_what_is_no_value_or_time(written: str) -> None:
    """Each of these costs its line, and the reason quotes nothing of it."""
    ((index, reason),) = _reasons(f"secret secret={written}")

    assert index == 0
    assert "secret" not in reason


def test_line_protocol_unescapes_names() -> None:
    """Commas, spaces and equal signs in names are escaped; other backslashes are themselves."""
    values = _values(r'my\ m\,1,t\=a=b\ c f\,\=\ 1=1,b\x=2,"q"=3')

    assert values == {"my m,1.f,= 1": 1.0, r"my m,1.b\x": 2.0, 'my m,1."q"': 3.0}


def test_line_protocol_skips_what_is_no_line() -> None:
    """Blank lines, comments and carriage returns are no readings and have no index."""
    decoded = decode_lines(b'\n  \r\n# a b="\r\n  # x\nm f=1 1\r\n\tm f=2 2 \n\nbad\r\nm f=3 3')

    assert [(one.ts_ms, one.values) for one in decoded.readings] == [
        (0, {"m.f": 1.0}),
        (0, {"m.f": 2.0}),
        (0, {"m.f": 3.0}),
    ]
    assert [one.index for one in decoded.refused] == [2]


@pytest.mark.parametrize(("precision", "unit_ns"), PRECISIONS.items())
def test_line_protocol_times_have_a_precision(precision: str, unit_ns: int) -> None:
    """A timestamp counts units of the precision; without one the time of arrival holds."""
    known, unknown = _readings(f"m f=1 {_AT_NS // unit_ns}\nm f=1", precision)

    assert known.ts_ms == _AT_NS // unit_ns * unit_ns // 1_000_000
    assert unknown.ts_ms is None


def test_line_protocol_precision_comes_with_the_content_type() -> None:
    """Parameters choose the decoder; one that is no precision is a fault of the payload."""
    form = SHIPPED.of_content_type('application/x-influx-line-protocol; Precision="s"; charset=x')

    assert form.name == "line-protocol"
    assert form.decode(b"m f=1 17").by_reading().readings[0].ts_ms == 17_000
    with pytest.raises(Malformed, match="precision"):
        SHIPPED.of_content_type("application/vnd.influxdata.line-protocol;precision=d").decode(b"")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (",t=a f=1", "no measurement"),
        ("m", "no fields"),
        ("m,t=a", "no fields"),
        ("m ", "no fields"),
        ("m,t f=1", "tag 1 has no value"),
        ("m,t= f=1", "tag 1 has an empty value"),
        ("m,=a f=1", "tag 1 has no name"),
        ("m,t=a=b f=1", "tag 1 has an = in its value"),
        (r"m,t=a\ f=1", "tag 1 has an = in its value"),
        ("m,t=a,t=b f=1", "same tag twice"),
        ("m,time=a f=1", "called time"),
        ("m =1", "field 1 has no name"),
        ("m f", "field 1 has no value"),
        ("m f=", "field 1 is empty"),
        ('m f=1,g="a', "field 2 has a quote that does not end"),
        ("m f=1 noon", "timestamp is not a whole number"),
        ('m f="a"b', "field 1 has something behind its value"),
        (f"{'m' * MAX_METRIC_CHARS} f=1", "longer than 120"),
        (f'm f="{"x" * (MAX_TEXT_CHARS + 1)}"', "longer than 4096"),
        ("m " + ",".join(f"f{i}=1" for i in range(MAX_VALUES + 1)), "more than 1000 fields"),
        (f"m,t={'x' * 70_000} f=1", "more than 65535 bytes"),
        ("m\x01 f=1", "control character"),
    ],
)  # fmt: skip
def test_line_protocol_bad_line_costs_one_line(bad: str, why: str) -> None:
    """Its index and the reason are told; the lines around it are read."""
    decoded = decode_lines(f"m f=1 1\n{bad}\nm f=2 2".encode())

    assert [one.values for one in decoded.readings] == [{"m.f": 1.0}, {"m.f": 2.0}]
    assert [one.index for one in decoded.refused] == [1]
    assert why in decoded.refused[0].reason


def test_line_protocol_bytes_that_are_no_text_cost_one_line() -> None:
    """Other lines of the payload may be any text."""
    decoded = decode_lines("m,t=é f=1\n".encode() + b'm f="\xff"\n' + b"m f=2")

    assert [one.values for one in decoded.readings] == [{"m.f": 1.0}, {"m.f": 2.0}]
    assert [(one.index, one.reason) for one in decoded.refused] == [(1, "line is not valid UTF-8")]


def test_line_protocol_has_limits() -> None:
    """More bytes or lines than a message may have are refused as a whole."""
    with pytest.raises(Malformed, match="larger than"):
        decode_lines(b"#" * (MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(Malformed, match="lines"):
        decode_lines(b"m f=1\n" * (MAX_READINGS + 1))
    assert len(decode_lines(b"m f=1\n" * MAX_READINGS).readings) == MAX_READINGS


def test_line_protocol_rules_put_tags_into_names() -> None:
    """What tells a measurement's series apart is part of the name, and can be read back."""
    lines = "cpu,host=a,cpu=cpu0 usage=1\ndisk,path=/a\\,{b}\\=c f=2\ncpu usage=3\nother,cpu=x f=4"

    names = [name for reading in _readings(lines) for name in reading.values]

    assert names == [
        "cpu.usage{cpu=cpu0}",
        r"disk.f{path=/a\,\{b\}\=c}",
        "cpu.usage",
        "other.f",
    ]


def test_line_protocol_other_tags_and_nanoseconds_tell_readings_apart() -> None:
    """Equal names and milliseconds do not meet; the order of the tags changes nothing."""
    lines = (
        f"m,a=1,b=2 f=1 {_AT_NS}",
        f"m,b=2,a=1 f=1 {_AT_NS}",
        f"m,a=1,b=3 f=1 {_AT_NS}",
        f"m,a=1,b=2 f=1 {_AT_NS + 1}",
        f"m f=1 {_AT_NS // 1_000_000}000000",
    )
    orders = [_readings(line)[0].order for line in lines]

    assert orders[0] == orders[1]
    assert len(set(orders)) == 4
    assert orders[3] == orders[0] + 1
    assert orders[4] == 0
    assert all(0 <= order < 2**63 for order in orders)


@given(st.binary(max_size=300))
def test_line_protocol_takes_any_bytes(payload: bytes) -> None:
    """Whatever comes is refused or decoded, never anything else, and every index has one fate."""
    try:
        decoded = decode_lines(unpacked(payload, max_bytes=MAX_PAYLOAD_BYTES))
    except Malformed:
        return

    indexes = [one.index for one in decoded.refused]
    total = len(decoded.readings) + len(indexes)
    assert indexes == sorted(set(indexes))
    assert all(index < total for index in indexes)


@given(st.text(alphabet='m,= \\"\n\r\t#1if-.e\0', max_size=60))
def test_line_protocol_takes_any_syntax(text: str) -> None:
    """Lines made of nothing but syntax are refused or decoded; values are what they may be."""
    for reading in decode_lines(text.encode()).readings:
        assert reading.values
        assert all(type(value) in (float, bool, str) for value in reading.values.values())


_NAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20
).filter(lambda name: name == name.strip() and not name.endswith("\\") and name[0] != "#")
_VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=50),
)


def _escaped(name: str, special: str) -> str:
    return "".join(f"\\{char}" if char in special else char for char in name)


def _written(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value) if isinstance(value, bool) else repr(value)


@given(
    _NAMES,
    st.dictionaries(_NAMES.filter(lambda name: name != "time"), _NAMES, max_size=3),
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4),
    st.integers(0, 2**62),
)
def test_line_protocol_decodes_what_is_encoded(
    measurement: str, tags: dict[str, str], fields: dict[str, Value], ts_ns: int
) -> None:
    """A line by the rules comes back as it was meant, among others."""
    key = _escaped(measurement, ", ") + "".join(
        f",{_escaped(tag, ', =')}={_escaped(text, ', =')}" for tag, text in tags.items()
    )
    values = ",".join(f"{_escaped(name, ', =')}={_written(one)}" for name, one in fields.items())

    readings = _readings(f"a b=1\n{key} {values} {ts_ns}\n\na b=2")

    assert len(readings) == 3
    assert readings[1].values == {f"{measurement}.{name}": one for name, one in fields.items()}
    assert readings[1].ts_ms == ts_ns // 1_000_000


def test_line_protocol_can_be_packed() -> None:
    """What a gateway packs is unpacked before it is decoded, as for every format."""
    payload = unpacked(gzip.compress(b"m f=1"), max_bytes=100)

    assert decode_lines(payload).readings[0].values == {"m.f": 1.0}
