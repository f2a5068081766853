"""Everything in any order, drawn by a seed: what nobody thought of."""

import signal
from collections.abc import Awaitable, Callable
from random import Random

import anyio
import anyio.to_thread
import pytest

from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant
from tests.support.broker_clients import Client
from tests.support.proxy import Direction

pytestmark = pytest.mark.anyio

Fault = Callable[[Plant, Random], Awaitable[None]]


async def _kill_ingester(plant: Plant, _rng: Random) -> None:
    await plant.ingester.kill()
    await plant.ingester.start()


async def _stop_ingester(plant: Plant, _rng: Random) -> None:
    await plant.ingester.stop()
    await plant.ingester.start()


async def _freeze_ingester(plant: Plant, rng: Random) -> None:
    plant.ingester.signal(signal.SIGSTOP)
    await anyio.sleep(rng.uniform(0.2, 5))
    plant.ingester.signal(signal.SIGCONT)


async def _kill_broker(plant: Plant, _rng: Random) -> None:
    await plant.restart_broker(plant.broker.kill)


async def _restart_broker(plant: Plant, _rng: Random) -> None:
    await plant.restart_broker(plant.broker.stop)


async def _freeze_broker(plant: Plant, rng: Random) -> None:
    plant.broker.pause()
    await anyio.sleep(rng.uniform(0.2, 5))
    plant.broker.resume()


async def _cut(plant: Plant, rng: Random) -> None:
    leg = rng.choice([plant.devices_leg, plant.ingester_leg])
    leg.cut(with_reset=rng.random() < 0.5)


async def _spoil(plant: Plant, rng: Random) -> None:
    faults = _any_direction(plant, rng)
    if rng.random() < 0.5:
        faults.corrupt_at = rng.randrange(50_000)
    else:
        faults.cut_after = rng.randrange(50_000)


async def _swallow(plant: Plant, rng: Random) -> None:
    leg = rng.choice([plant.devices_leg, plant.ingester_leg])
    rng.choice([leg.to_client, leg.to_server]).swallows = True
    await anyio.sleep(rng.uniform(0.5, 6))
    leg.heal()


async def _store_away(plant: Plant, rng: Random) -> None:
    plant.ingester.switch("away", on=True)
    await anyio.sleep(rng.uniform(0.2, 3))
    plant.ingester.switch("away", on=False)


async def _disk_full(plant: Plant, rng: Random) -> None:
    plant.ingester.limit_file_size(4_096)
    await anyio.sleep(rng.uniform(0.2, 3))
    plant.ingester.limit_file_size(-1)


async def _take_over(plant: Plant, _rng: Random) -> None:
    def steal() -> None:
        with Client(plant.broker.port, client_id="tidegate-ingest"):
            pass

    await anyio.to_thread.run_sync(steal)


_FAULTS: tuple[Fault, ...] = (
    _kill_ingester,
    _stop_ingester,
    _freeze_ingester,
    _kill_broker,
    _restart_broker,
    _freeze_broker,
    _cut,
    _spoil,
    _swallow,
    _store_away,
    _disk_full,
    _take_over,
)


def _any_direction(plant: Plant, rng: Random) -> Direction:
    leg = rng.choice([plant.devices_leg, plant.ingester_leg])
    return rng.choice([leg.to_client, leg.to_server])


@pytest.mark.parametrize("seed", range(4))
async def test_faults_at_random(trial: Trial, seed: int) -> None:
    """One fault after another for as long as the devices publish."""
    rng = Random(seed)

    async def everything(plant: Plant) -> None:
        while not plant.finished.is_set():
            await rng.choice(_FAULTS)(plant, rng)
            with anyio.move_on_after(rng.uniform(0.2, 4)):
                await plant.finished.wait()

    # With every other seed what the store does not take at once goes through the spool.
    config = Config(0, "", spool_after_s=0.2 if seed % 2 else 10.0)
    account = await trial(everything, config=config, share=5.0, lasts_s=40.0)

    # A corrupted byte makes a dead letter, or a reading without its sequence; what was meant
    # comes again.
    assert account.faults().keys() <= {"stored_twice"}
    assert account.stored_twice <= 5
    assert account.stored == account.published
