"""VictoriaMetrics, which says yes before anything is on its disk: killed, hanging, far away."""

import time
from functools import partial

import anyio
import anyio.to_thread
import pytest

from cloud.timeseries.victoria.recent import KEEP_S
from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant
from tests.support.victoria import Victoria

pytestmark = pytest.mark.anyio

_HOUR_MS = 3_600_000


async def _restart(server: Victoria, *, away_s: float) -> None:
    """Kill it in the middle of whatever it does, and start it again after a while."""
    await anyio.to_thread.run_sync(server.kill)
    await anyio.sleep(away_s)
    await anyio.to_thread.run_sync(server.start)


@pytest.fixture
def stored(trial: Trial, own_victoria: Victoria) -> Trial:
    """Return what runs a trial with VictoriaMetrics for a store, and times that it takes."""
    return partial(
        trial,
        config=Config(0, "", own_victoria.url("faults")),
        show=own_victoria.flush,
        first_ts_ms=time.time_ns() // 1_000_000 - _HOUR_MS,
        is_careless=True,
    )


@pytest.mark.parametrize("away_s", [1.0, KEEP_S + 2], ids=["shortly", "for_long"])
async def test_faults_victoria_killed(
    stored: Trial, own_victoria: Victoria, away_s: float
) -> None:
    """SIGKILL: what it had said yes to and lost comes again, however long it was gone."""

    async def kill(plant: Plant) -> None:
        for share in (0.2, 0.6):
            await plant.reached(share)
            await _restart(own_victoria, away_s=away_s)

    account = await stored(kill, lasts_s=8.0)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_victoria_hangs(stored: Trial, own_victoria: Victoria) -> None:
    """SIGSTOP: it takes connections and answers nothing, then goes on; or is killed so."""

    async def hang(plant: Plant) -> None:
        for share in (0.2, 0.5):
            await plant.reached(share)
            own_victoria.pause()
            await anyio.sleep(5)
            if share == 0.5:
                await _restart(own_victoria, away_s=0)
            own_victoria.resume()

    account = await stored(hang, lasts_s=8.0)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_victoria_and_ingester_killed_in_turn(
    stored: Trial, own_victoria: Victoria
) -> None:
    """Each of them alone, with the seconds between them that it needs for its disk."""

    async def kill(plant: Plant) -> None:
        await plant.reached(0.2)
        await _restart(own_victoria, away_s=1)
        await anyio.sleep(KEEP_S)
        await plant.ingester.kill()
        await plant.ingester.start()
        await plant.reached(0.8)
        await _restart(own_victoria, away_s=1)

    account = await stored(kill, lasts_s=KEEP_S + 20)

    assert account.faults() == {}
    assert account.stored == account.published
