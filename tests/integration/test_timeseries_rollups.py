"""Rollups of DuckDB answer as points would, also where points change their kind."""

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cloud.timeseries.duckdb import DuckDB
from tests.ports.timeseries.rollups import ANY_ACTIONS, QUERIES, Action, compare


@pytest.mark.timeout(300)
@given(actions=ANY_ACTIONS, asked=QUERIES)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_rollups_answer_like_points(
    actions: list[Action],
    asked: tuple[int, int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Random writes, repetitions, deletions and tends: each aggregate is what raw points give."""

    async def run() -> None:
        async with DuckDB(tmp_path_factory.mktemp("rollups") / "t.duckdb") as store:
            await compare(store, actions, asked)

    anyio.run(run)
