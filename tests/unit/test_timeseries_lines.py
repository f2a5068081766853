"""Names and line protocol: everything that may be a name is written so that it can be read back."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.timeseries.influx.lines import FIRST_MS, LAST_MS, Encoder, check, time_ns
from cloud.timeseries.influx.names import name_of, stored_name
from cloud.timeseries.port import PointsRejected
from tests.support.names import names
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, Rows, Shape


def _key(metric: str, device: str = "pump", tenant: str = "acme") -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


@given(st.text(min_size=1).filter(lambda text: text.isprintable() or "\n" in text))
@example("time")
@example("%41")
@example("%2541%")
@example("_x")
@example("a\\")
@example("%74ime")
def test_name_comes_back(name: str) -> None:
    """Whatever it is, and what is stored begins like no name of the server's own."""
    stored = stored_name(name)

    assert name_of(stored) == name
    assert stored not in ("time", "tenant", "device")
    assert not stored.startswith("_")
    assert not set(stored) & set('\\"\n\r\x00')


@given(st.lists(names, unique=True, min_size=2))
def test_names_stay_apart(several: list[str]) -> None:
    """No two names are stored as one."""
    assert len({stored_name(name) for name in several}) == len(several)


def test_ordinary_names_stay_readable() -> None:
    """Only what has to be is escaped."""
    ordinary = ["temperature", "humidity_%", "Ω°C", "disk used", "a-b.c/d:e", "50%"]

    assert [stored_name(name) for name in ordinary] == ordinary


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_name_that_is_none_is_refused(name: str) -> None:
    """Nothing, and halves of surrogate pairs."""
    with pytest.raises(ValueError, match=r"empty|surrogates"):
        stored_name(name)
    with pytest.raises(PointsRejected, match="name"):
        Encoder().lines(PointBatch([_key(name)], [1], [1.0]).rows)


def test_lines_are_one_for_each_reading() -> None:
    """A reading's points share a line; the order stands below the millisecond."""
    pair, single = Shape([_key("t"), _key("50% b")]), Shape([_key("t", "fan,=1")])
    rows = Rows([pair, pair, single], [10, 10, 11], [7, 8, 8], [(1.0, 2.5), (3.0, 1e300), (4.0,)])

    lines = Encoder().lines(rows)

    assert lines.texts == [
        "telemetry,device=pump,tenant=acme t=1.0,50%\\ b=2.5 10000007",
        "telemetry,device=pump,tenant=acme t=3.0,50%\\ b=1e+300 10000008",
        "telemetry,device=fan\\,\\=1,tenant=acme t=4.0 11000008",
    ]
    assert list(lines.readings) == [0, 1, 2]


def test_lines_states_are_json_in_a_measurement_of_their_own() -> None:
    """So a field has one type for ever; whole numbers are floats."""
    shape = Shape([_key("on"), _key("mode"), _key("n"), _key("x")])
    rows = Rows([shape], [1], [0], [(True, 'a"', 3, "é\n")])

    lines = Encoder().lines(rows)

    assert lines.texts == [
        "telemetry,device=pump,tenant=acme n=3.0 1000000",
        r'states,device=pump,tenant=acme on="true",mode="\"a\\\"\"",x="\"é\\n\"" 1000000',
    ]
    assert lines.readings == [0, 0]


def test_lines_number_of_a_mixed_metric_is_a_state_as_well() -> None:
    """Once anybody had a text of that name, the later of two values of a point is a state."""
    encoder = Encoder()
    encoder.lines(PointBatch([_key("mode", "fan")], [1], ["auto"]).rows)

    texts = encoder.lines(PointBatch([_key("mode")], [1], [2.0]).rows).texts

    assert [text.split(",")[0] for text in texts] == ["telemetry", "states"]
    assert 'mode="2.0"' in texts[1]


@given(st.integers(FIRST_MS, LAST_MS), st.integers(-(2**63), 2**63 - 1))
def test_time_is_taken_apart_again(ts_ms: int, order: int) -> None:
    """Also before 1970, and within what line protocol takes."""
    stored_ns = time_ns(ts_ms, order)

    assert stored_ns // 1_000_000 == ts_ms
    assert -(2**63) + 2 <= stored_ns <= 2**63 - 2


@pytest.mark.parametrize(
    ("ts_ms", "value"),
    [
        (FIRST_MS - 1, 1.0),
        (LAST_MS + 1, 1.0),
        (2**63, 1.0),
        (1, math.nan),
        (1, -math.inf),
        (1, 10**400),
    ],
)
def test_what_cannot_be_stored_is_refused(ts_ms: int, value: float) -> None:
    """Times beyond 64 bits of nanoseconds, and what is no finite float."""
    with pytest.raises(PointsRejected):
        check(PointBatch([_key("t")] * 2, [1, ts_ms], [1.0, value]))
