"""Steps of every store that rolls up are what points would give, whatever came since."""

from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cloud.timeseries.port import Series, SeriesQuery
from tests.ports.timeseries.conftest import Opener
from tests.ports.timeseries.points import DAY_MS, batch_of, key
from tests.ports.timeseries.rollups import (
    HOUR_MS,
    MINUTE_MS,
    NOON_MS,
    QUERIES,
    STEADY_ACTIONS,
    Action,
    compare,
)

pytestmark = pytest.mark.anyio


@pytest.mark.timeout(300)
@given(actions=STEADY_ACTIONS, asked=QUERIES)
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_store_rollups_answer_like_points(
    rolling: Opener,
    actions: list[Action],
    asked: tuple[int, int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Random writes, repetitions, deletions and tends: each aggregate is what raw points give."""

    async def run() -> None:
        async with rolling(tmp_path_factory.mktemp("rollups")) as store:
            await compare(store, actions, asked)

    anyio.run(run)


@pytest.mark.parametrize("step_ms", [5 * MINUTE_MS, HOUR_MS])
async def test_store_rollups_count_what_comes_late(
    rolling: Opener, tmp_path: Path, step_ms: int
) -> None:
    """A point behind the rollups counts at once, and after it was rolled up again, once."""
    now_ms = NOON_MS + 10 * HOUR_MS
    query = SeriesQuery(NOON_MS, now_ms, step_ms=step_ms, aggregate="sum")
    async with rolling(tmp_path) as store:
        await store.write(batch_of((key("t"), NOON_MS, 1.0), (key("t"), NOON_MS + 1, 2.0)))
        await store.tend(now_ms)
        await store.write(
            batch_of((key("t"), NOON_MS + 2, 3.0), (key("new"), NOON_MS + 3 * HOUR_MS, 1.0))
        )
        late = await store.read(query)
        for _ in range(3):
            await store.tend(now_ms)
        rolled = await store.read(query)

    new = Series(key("new"), [(NOON_MS + 3 * HOUR_MS, 1.0)])
    assert late == rolled == [new, Series(key("t"), [(NOON_MS, 6.0)])]


async def test_store_rollups_go_with_their_device(rolling: Opener, tmp_path: Path) -> None:
    """Nothing of a deleted device is left in steps; what it sends afterwards is all there is."""
    now_ms = NOON_MS + 10 * HOUR_MS
    query = SeriesQuery(NOON_MS, now_ms, step_ms=HOUR_MS, aggregate="sum")
    async with rolling(tmp_path) as store:
        await store.write(batch_of((key("t"), NOON_MS, 1.0), (key("t", "fan"), NOON_MS, 2.0)))
        await store.tend(now_ms)
        await store.delete("acme", "pump")
        gone = await store.read(query)
        await store.write(batch_of((key("t"), NOON_MS + 1, 4.0)))
        await store.tend(now_ms)
        again = await store.read(query)

    fan = Series(key("t", "fan"), [(NOON_MS, 2.0)])
    assert gone == [fan]
    assert again == [fan, Series(key("t"), [(NOON_MS, 4.0)])]


async def test_store_rollups_join_with_points_inside_a_step(
    rolling: Opener, tmp_path: Path
) -> None:
    """A step that begins in rollups and ends in points, at a ragged range, is one step."""
    start_ms = NOON_MS // DAY_MS * DAY_MS
    points = [(start_ms + minute * MINUTE_MS, float(minute)) for minute in range(300)]
    first_ms, end_ms = start_ms + 2 * MINUTE_MS, start_ms + 298 * MINUTE_MS
    async with rolling(tmp_path) as store:
        await store.write(batch_of(*((key("t"), ts_ms, value) for ts_ms, value in points)))
        await store.tend(start_ms + 3 * HOUR_MS)
        found = await store.read(SeriesQuery(first_ms, end_ms, step_ms=DAY_MS))

    assert found == [Series(key("t"), [(start_ms, sum(range(2, 298)) / 296)])]
