"""Random lives of a store, and what its steps have to be: for stores that roll up."""

import math
from typing import get_args

from hypothesis import strategies as st

from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Aggregate, Series, SeriesQuery, TimeSeries
from tests.ports.timeseries.points import key
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NOON_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
_STEPS_MS = (5 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 7 * MINUTE_MS)
_KEYS = [key(metric, device) for device in ("fan", "pump") for metric in ("t", "u")]
Action = tuple[str, object]

# Times lie close together, so that points meet in buckets, at their edges, and at the same time.
_TIMES = st.integers(0, 48).map(lambda fives: NOON_MS + fives * 5 * MINUTE_MS)
_NUMBERS: st.SearchStrategy[Value] = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
_STATES: st.SearchStrategy[Value] = st.sampled_from(["x", True])
_WHEN = st.tuples(_TIMES, st.sampled_from([-1, 0, 1, 59_999, 123_456])).map(sum)
_ANY_POINT = st.tuples(
    st.sampled_from(_KEYS), _WHEN, st.one_of(_NUMBERS, _STATES), st.integers(0, 2)
)
# No point whose number is replaced by a text, or the other way round.
_STEADY_POINT = st.one_of(
    st.tuples(st.sampled_from(_KEYS), _WHEN, _NUMBERS, st.integers(0, 1)),
    st.tuples(st.sampled_from(_KEYS), _WHEN, _STATES, st.just(2)),
)
QUERIES = st.tuples(st.integers(-30, 280), st.integers(-30, 280), st.sampled_from(_STEPS_MS))


def _actions(
    points: st.SearchStrategy[tuple[SeriesKey, int, Value, int]],
) -> st.SearchStrategy[list[Action]]:
    write = st.tuples(st.just("write"), st.lists(points, min_size=1, max_size=12))
    delete = st.tuples(st.just("delete"), st.sampled_from(["fan", None]))
    tend = st.tuples(st.just("tend"), st.integers(-1, 60))
    return st.lists(st.one_of(write, write, tend, tend, delete), min_size=2, max_size=14)


ANY_ACTIONS, STEADY_ACTIONS = _actions(_ANY_POINT), _actions(_STEADY_POINT)


async def compare(store: TimeSeries, actions: list[Action], asked: tuple[int, int, int]) -> None:
    """Do the same to a store and to one in memory; all steps of both have to be equal."""
    memory = Memory()
    from_ms, to_ms = (NOON_MS + minutes * MINUTE_MS for minutes in asked[:2])
    for action in actions:
        await _do(store, action)
        await _do(memory, action)
        for step_ms in (HOUR_MS, 5 * MINUTE_MS):
            await _same(store, memory, SeriesQuery(0, 2**62, step_ms=step_ms, aggregate="sum"))
    for aggregate in AGGREGATES:
        for step_ms in (HOUR_MS, asked[2]):
            query = SeriesQuery(from_ms, to_ms, step_ms=step_ms, aggregate=aggregate)
            await _same(store, memory, query)


async def _do(store: TimeSeries, action: Action) -> None:
    match action:
        case ("write", list() as points):
            batch = PointBatch()
            for series, ts_ms, value, order in points:
                batch.append(series, ts_ms, value, order=order)
            await store.write(batch)
        case ("delete", device):
            await store.delete("acme", device if isinstance(device, str) else None)
        case ("tend", int() as fives):
            await store.tend(NOON_MS + fives * 5 * MINUTE_MS)


async def _same(store: TimeSeries, memory: Memory, query: SeriesQuery) -> None:
    found, expected = await store.read(query), await memory.read(query)
    assert _close(found, expected), (query, found, expected)


def _close(found: list[Series], expected: list[Series]) -> bool:
    """Return whether two answers are equal but for the rounding of sums."""
    if [one.key for one in found] != [one.key for one in expected]:
        return False
    return all(
        len(one.points) == len(other.points)
        and all(
            ours[0] == theirs[0]
            and math.isclose(float(ours[1]), float(theirs[1]), rel_tol=1e-9, abs_tol=1e-3)
            for ours, theirs in zip(one.points, other.points, strict=True)
        )
        for one, other in zip(found, expected, strict=True)
    )
