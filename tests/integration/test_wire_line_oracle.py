"""Our decoder of line protocol beside a real InfluxDB 1.x: the same lines, the same values."""

from collections.abc import Iterator

import pytest

from tests.support.influxd import Influxd, influxd_program
from tests.support.line_oracle import LineOracle, line_oracle
from wire.codecs.line.protocol import decode_lines
from wire.messages import Value

_TIMES = [
    "5", "-5", "9223372036854775806", "9223372036854775807", "-9223372036854775806",
    "-9223372036854775807", "99999999999999999999", "+5", "1.5", "1e3", "-", "5 ", " 5", "\t5",
    "5\t", "5 6", "# c",
]  # fmt: skip
_VALUES = [
    "1", "+1", "-1", "-", ".", "-.", ".5", "5.", "-.5", "1e3", "1E3", "1e", "1e+3", "1e-3", "1e400",
    "1e-400", "1.1.1", "0x10", "NaN", "nan", "inf", "-inf", "1_000", "007", "1i", "-1i", "01i", "i",
    "-i", "1.5i", "1ii", "9223372036854775807i", "9223372036854775808i", "-9223372036854775808i",
    "-1u", "t", "T", "true", "True", "TRUE", "f", "FALSE", "tRUE", "yes", "truer", "tr", "'a'", "a",
    '"', '"a', r'"a\"', r'"a\\"', r'"a\n"', '"a,b=c d"', '"a\nb"', '""', r'"a\,b"', r'"a\=b"',
    r'"\\\""', '"a\\\nb"', '"é"', "1,", "1,g", "1,=2", "", " 1", "1,f=2", '1,g="a b",h=t', "1 ,g=2",
]  # fmt: skip
_KEYS = [
    "m,t==", "m,t=a=b", r"m,t=a\ ", r"m,t=a\\", r"m,t=a\,", r"m,t\=x=a", "m,t", "m,t=", "m,=a",
    "m,", "m,,t=a", "m,t=a,", "m,t=a,t=b", "m,b=1,a=2,b=3", "m,time=a", ",t=a", r"m\,x", r"m\ x",
    r"m\x", "m=x", "=m", '"m"', 'm,t="a"', 'm,t="a b"', r"\,m", r"\m", "\tm", "m ", "#m", r"\#m",
    "m,t=é", "m,_t=1",
]  # fmt: skip
_FIELD_NAMES = [r"a\=", r"a\,b", r"a\ b", "a b", 'a"b', '"a"', "", r"f\\\=x", "_f", "f "]
_LINES = [
    *(f"m f=1 {time}" for time in _TIMES),
    *(f"m f={value}" for value in _VALUES),
    *(f"{key} f=1" for key in _KEYS),
    *(f"m {name}=1" for name in _FIELD_NAMES),
    "m", "m ", "m,t=a", "m,t=a ", "", "  ",
]  # fmt: skip

# What we take otherwise than InfluxDB 1.6, on purpose: `line_protocol` says why.
_OURS_ALONE: dict[bytes, dict[str, Value]] = {
    b"m f=1u": {"m.f": 1.0},
    b"m f=1\r": {"m.f": 1.0},
    b"m f=1 5\r": {"m.f": 1.0},
    b"m time=1": {"m.time": 1.0},
    rb"m f\\,y=1": {r"m.f\,y": 1.0},
}
_THEIRS_ALONE = [
    b'm f="a"b', b'm f="a""b"', b'm f="a"5', b"m\tx f=1", b"m,t=\xff f=1", b'm f="\xff"',
]  # fmt: skip


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineOracle]:
    """Run one server for the module."""
    server = Influxd(influxd_program(), folder=tmp_path_factory.mktemp("influxd"))
    with server, line_oracle(server) as running:
        yield running


def _ours(line: bytes) -> dict[str, Value] | None:
    decoded = decode_lines(line)
    if decoded.refused:
        return None
    return {name: value for one in decoded.readings for name, value in one.values.items()}


@pytest.mark.timeout(120)
def test_line_protocol_agrees_with_influxd(oracle: LineOracle) -> None:
    """Each of some 130 tricky lines is taken by both as the same values, or refused by both."""
    differ = {}
    for line in _LINES:
        ours, theirs = _ours(line.encode()), oracle.fields_of(line.encode())
        if ours != theirs:
            differ[line] = (ours, theirs)

    assert differ == {}


def test_line_protocol_differs_from_influxd_on_purpose(oracle: LineOracle) -> None:
    """The differences that the decoder states are those, and they are real."""
    ours_alone = {line: _ours(line) for line in _OURS_ALONE if oracle.fields_of(line) is None}
    theirs_alone = [line for line in _THEIRS_ALONE if oracle.fields_of(line) is not None]

    assert ours_alone == _OURS_ALONE
    assert theirs_alone == _THEIRS_ALONE
    assert [_ours(line) for line in _THEIRS_ALONE] == [None] * len(_THEIRS_ALONE)
