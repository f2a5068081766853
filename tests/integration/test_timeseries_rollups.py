"""Rollups answer as the points would, whatever was written, replaced or deleted meanwhile."""

import math
from pathlib import Path
from typing import get_args

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Aggregate, Series, SeriesQuery, TimeSeries
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_NOON_MS = 1_700_000_000_000 // _HOUR_MS * _HOUR_MS
_AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
_STEPS_MS = (5 * _MINUTE_MS, 10 * _MINUTE_MS, _HOUR_MS, 3 * _HOUR_MS, 7 * _MINUTE_MS)
_KEYS = [
    SeriesKey(TenantId("acme"), DeviceId(device), MetricName(metric))
    for device in ("fan", "pump")
    for metric in ("t", "u")
]

# Times lie close together, so that points meet in buckets, at their edges, and at the same time.
_TIMES = st.integers(0, 48).map(lambda fives: _NOON_MS + fives * 5 * _MINUTE_MS)
_POINT = st.tuples(
    st.sampled_from(_KEYS),
    st.tuples(_TIMES, st.sampled_from([-1, 0, 1, 59_999, 123_456])).map(sum),
    st.one_of(
        st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), st.sampled_from(["x", True])
    ),
    st.integers(0, 2),
)
_WRITE = st.tuples(st.just("write"), st.lists(_POINT, min_size=1, max_size=12))
_DELETE = st.tuples(st.just("delete"), st.sampled_from(["fan", None]))
_TEND = st.tuples(st.just("tend"), st.integers(-1, 60))
_ACTIONS = st.lists(st.one_of(_WRITE, _WRITE, _TEND, _TEND, _DELETE), min_size=2, max_size=14)
_QUERY = st.tuples(st.integers(-30, 280), st.integers(-30, 280), st.sampled_from(_STEPS_MS))


def _batch(points: list[tuple[SeriesKey, int, Value, int]]) -> PointBatch:
    batch = PointBatch()
    for key, ts_ms, value, order in points:
        batch.append(key, ts_ms, value, order=order)
    return batch


async def _do(store: TimeSeries, action: tuple[str, object]) -> None:
    match action:
        case ("write", list() as points):
            await store.write(_batch(points))
        case ("delete", device):
            await store.delete("acme", device if isinstance(device, str) else None)
        case ("tend", int() as fives):
            await store.tend(_NOON_MS + fives * 5 * _MINUTE_MS)


def _close(found: list[Series], expected: list[Series]) -> bool:
    """Return whether two answers are equal but for the rounding of sums."""
    if [one.key for one in found] != [one.key for one in expected]:
        return False
    pairs = [
        pair
        for one, other in zip(found, expected, strict=True)
        for pair in zip(one.points, other.points, strict=True)
    ]
    return all(
        ours[0] == theirs[0]
        and math.isclose(float(ours[1]), float(theirs[1]), rel_tol=1e-9, abs_tol=1e-3)
        for ours, theirs in pairs
    )


async def _same(store: TimeSeries, memory: Memory, query: SeriesQuery) -> None:
    found, expected = await store.read(query), await memory.read(query)
    assert _close(found, expected), (query, found, expected)


async def _compare(
    actions: list[tuple[str, object]], asked: tuple[int, int, int], path: Path
) -> None:
    memory = Memory()
    from_ms, to_ms = (_NOON_MS + minutes * _MINUTE_MS for minutes in asked[:2])
    async with DuckDB(path) as store:
        for action in actions:
            await _do(store, action)
            await _do(memory, action)
            for step_ms in (_HOUR_MS, 5 * _MINUTE_MS):
                await _same(store, memory, SeriesQuery(0, 2**62, step_ms=step_ms, aggregate="sum"))
        for aggregate in _AGGREGATES:
            for step_ms in (_HOUR_MS, asked[2]):
                await _same(store, memory, SeriesQuery(
                    from_ms, to_ms, step_ms=step_ms, aggregate=aggregate
                ))  # fmt: skip


@pytest.mark.timeout(300)
@given(actions=_ACTIONS, asked=_QUERY)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_rollups_answer_like_points(
    actions: list[tuple[str, object]],
    asked: tuple[int, int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Random writes, repetitions, deletions and tends: each aggregate is what raw points give."""
    path = tmp_path_factory.mktemp("rollups") / "t.duckdb"

    anyio.run(_compare, actions, asked, path)
