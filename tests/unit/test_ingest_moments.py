"""Readings without a sequence: what is the same one, and what is another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.ledger.moments import MAX_MOMENTS, Moments, recalled
from wire.ids import MetricName, metric_name
from wire.messages import Reading, Value

_TIME_MS = 1_700_000_000_000


def _reading(ts_ms: int = _TIME_MS, **values: Value) -> Reading:
    return Reading({metric_name(name): value for name, value in values.items()}, ts_ms)


def test_moments_know_the_same_time_with_the_same_values() -> None:
    """The order of the values is nothing that tells readings apart."""
    moments = Moments()

    assert moments.add(_reading(a=1.0, b=2.0)) is not None
    assert moments.add(_reading(b=2.0, a=1.0)) is None


@pytest.mark.parametrize(
    "other",
    [
        _reading(b=1.0),
        _reading(a=2.0),
        _reading(a=True),
        _reading(a="1"),
        _reading(_TIME_MS - 1, a=1.0),
    ],
)
def test_moments_take_another_part_value_or_time(other: Reading) -> None:
    """Other metrics, another value, another type of it or another time: another reading."""
    moments = Moments()
    moments.add(_reading(a=1.0))

    assert moments.add(other) is not None
    assert moments.add(other) is None


def test_moments_take_what_an_order_tells_apart() -> None:
    """Lines that differ in their tags have the same metric, time and value, and another order."""
    moments = Moments()
    values: dict[MetricName, Value] = {metric_name("a"): 1.0}

    first, second = (Reading(values, _TIME_MS, order=order) for order in (1, 2))

    assert moments.add(first) is not None
    assert moments.add(second) is not None
    assert moments.add(first) is None


def test_moments_do_not_undo_what_replaced_a_reading() -> None:
    """After a correction, the reading before it is known when it is delivered again."""
    moments = Moments()
    for value in (1.0, 2.0):
        moments.add(_reading(a=value))

    assert [moments.add(_reading(a=value)) for value in (1.0, 2.0)] == [None, None]


def test_moments_are_bounded() -> None:
    """The readings heard last are known; what came long before counts as new."""
    moments = Moments()
    for age in range(MAX_MOMENTS + 1):
        moments.add(_reading(_TIME_MS - age, a=1.0))

    assert moments.add(_reading(_TIME_MS - MAX_MOMENTS, a=1.0)) is None
    assert moments.add(_reading(_TIME_MS - 1, a=1.0)) is None
    assert moments.add(_reading(_TIME_MS, a=1.0)) is not None


@pytest.mark.parametrize("ts_ms", [-(2**70), -1, 0, 2**63, 2**70])
def test_moments_take_any_time(ts_ms: int) -> None:
    """A time that nothing could store is recognised, too: it is refused once."""
    moments = Moments()

    assert moments.add(_reading(ts_ms, a=1.0)) is not None
    assert moments.add(_reading(ts_ms, a=1.0)) is None


def test_moments_take_no_neighbours_for_one() -> None:
    """The end of one and the beginning of the next are not a reading that was seen."""
    noted = Moments().add(_reading(_TIME_MS, a=1.0))
    later = Moments().add(_reading(_TIME_MS + 1, a=1.0))
    assert noted is not None
    assert later is not None

    shifted = Moments(b"\0" * 5 + noted[1] + b"\0" * 7 + later[1], count=3)

    assert shifted.add(_reading(_TIME_MS, a=1.0)) is not None


@given(st.lists(st.integers(0, 40), max_size=700), st.integers(0, 700))
def test_moments_come_back_as_they_were(times: list[int], at: int) -> None:
    """What was written down and read again answers as if nothing had happened."""
    whole, before = Moments(), Moments()
    written: dict[int, bytes] = {}

    answers = []
    for index, ts_ms in enumerate(times):
        if index == at:
            before = recalled(
                [(number, written[number]) for number in sorted(written)][-MAX_MOMENTS:]
            )
        reading = _reading(ts_ms, a=float(index % 9))
        expected, found = whole.add(reading), before.add(reading)
        if found is not None:
            written[found[0]] = found[1]
        answers.append((expected is None, found is None))

    assert all(expected == found for expected, found in answers)
