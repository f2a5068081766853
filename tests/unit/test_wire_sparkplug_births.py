"""What births say, and the readings that payloads are with that knowledge."""

import pytest

from wire.codecs.sparkplug import Metric, Payload, sent
from wire.codecs.sparkplug_types import DataType
from wire.errors import Malformed
from wire.sparkplug.births import Birth, UnknownMetric, bd_seq_of, read


def test_births_name_aliases_and_types() -> None:
    """Data leaves out what the birth has told; the metric's own type goes first."""
    birth = Birth.of(Payload([Metric("a", 5, datatype=1), Metric("b", datatype=12)]))

    assert birth.identified(Metric(alias=5)) == ("a", 1)
    assert birth.identified(Metric("b")) == ("b", 12)
    assert birth.identified(Metric("a", datatype=3)) == ("a", 3)
    with pytest.raises(UnknownMetric):
        birth.identified(Metric(alias=6))
    with pytest.raises(UnknownMetric):
        birth.identified(Metric("c", kind="int", raw=1))
    with pytest.raises(Malformed, match="neither"):
        birth.identified(Metric())
    restored = Birth.decode(birth.encode())
    assert restored.identified(Metric(alias=5)) == ("a", 1)
    assert restored.identified(Metric("b")) == ("b", 12)


def test_read_has_one_fate_for_each_metric() -> None:
    """Null and transient ones are left out, bdSeq is none; indexes count those with a value."""
    payload = Payload(
        [
            sent("bdSeq", 3, DataType.INT64),
            Metric("null", datatype=9, is_null=True),
            sent("passing", 1.0, DataType.FLOAT, is_transient=True),
            sent("a", -5, DataType.INT8),
            Metric(alias=9, kind="float", raw=1.0),
            sent("past", 1.5, DataType.DOUBLE, ts_ms=7, is_historical=True),
            sent("\x07", 1.0, DataType.FLOAT),
        ],
        ts_ms=100,
    )

    found = read(payload, Birth(()))

    assert [(one.values, one.ts_ms) for one in found.decoded.readings] == [
        ({"a": -5.0}, 100),
        ({"past": 1.5}, 7),
    ]
    assert [one.index for one in found.decoded.refused] == [1, 3]
    assert "alias 9" in found.decoded.refused[0].reason
    assert (found.left_out, found.has_unknown) == (2, True)


@pytest.mark.parametrize(("raw", "found"), [(5, 5), (2**64 - 1, -1), (2**63 - 1, 2**63 - 1)])
def test_read_bd_seq_fits_signed_integers(raw: int, found: int) -> None:
    """Whatever a node counts up to, it can be kept."""
    assert bd_seq_of(Payload([Metric("bdSeq", kind="long", raw=raw)])) == found
