"""Fitting readings into one message."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.packing import pack
from tests.support.decoding import decoded_json
from wire.ids import MetricName
from wire.messages import Reading

_NAME = MetricName("text")


def _readings(sizes: list[int]) -> list[Reading]:
    return [Reading({_NAME: "x" * size}, 1, seq=n + 1) for n, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.integers(60, 3_000))
def test_pack_keeps_the_oldest_that_fit(sizes: list[int], max_bytes: int) -> None:
    """A packed payload fits, holds a beginning of the readings, and names the first held."""
    readings = _readings(sizes)

    packed = pack(readings, boot="b", first=1, max_bytes=max_bytes)

    if packed is None:
        assert pack(readings[:1], boot="b", first=1, max_bytes=max_bytes) is None
        return
    assert 0 < len(packed.payload) <= max_bytes
    decoded = decoded_json(packed.payload)
    assert decoded.first == 1
    assert [reading.seq for reading in decoded.readings] == list(range(1, len(packed.readings) + 1))


def test_pack_takes_all_when_all_fit() -> None:
    """Nothing is left behind without need."""
    packed = pack(_readings([10] * 50), boot="b", first=1, max_bytes=65_536)

    assert packed is not None
    assert len(packed.readings) == 50


def test_pack_refuses_a_reading_that_is_too_large_alone() -> None:
    """A first reading beyond the limit gives None, whatever follows it."""
    assert pack(_readings([500, 1]), boot="b", first=1, max_bytes=200) is None
