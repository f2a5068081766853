"""Everything in any order, drawn by a seed: what nobody thought of."""

import signal
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import anyio
import anyio.to_thread
import pytest

from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant
from tests.support.broker_clients import Client
from tests.support.influxd import Influxd
from tests.support.proxy import Direction
from tests.support.server_process import ServerProcess

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


def _of_server(server: ServerProcess) -> tuple[Fault, ...]:
    """Return what a store that is a server can do besides."""

    async def kill(_plant: Plant, rng: Random) -> None:
        await anyio.to_thread.run_sync(server.kill)
        await anyio.sleep(rng.uniform(0, 3))
        await anyio.to_thread.run_sync(server.start)

    async def freeze(_plant: Plant, rng: Random) -> None:
        server.pause()
        await anyio.sleep(rng.uniform(0.2, 5))
        server.resume()

    return (kill, freeze)


async def _survives(
    trial: Trial, seed: int, faults: Sequence[Fault], *, store: str | None = None
) -> None:
    rng = Random(seed)

    async def everything(plant: Plant) -> None:
        while not plant.finished.is_set():
            await rng.choice(faults)(plant, rng)
            with anyio.move_on_after(rng.uniform(0.2, 4)):
                await plant.finished.wait()

    # With every other seed what the store does not take at once goes through the spool.
    config = Config(0, "", store, spool_after_s=0.2 if seed % 2 else 10.0)
    account = await trial(everything, config=config, share=5.0, lasts_s=40.0)

    # A corrupted byte makes a dead letter, or a reading without its sequence; what was meant
    # comes again.
    assert account.faults().keys() <= {"stored_twice"}
    assert account.stored_twice <= 5
    assert account.stored == account.published


@pytest.mark.parametrize("seed", range(4))
async def test_faults_at_random(trial: Trial, seed: int) -> None:
    """One fault after another for as long as the devices publish."""
    await _survives(trial, seed, _FAULTS)


@pytest.mark.parametrize("seed", range(4, 6))
async def test_faults_at_random_with_influxd(trial: Trial, own_influxd: Influxd, seed: int) -> None:
    """Also those of a store that is a server; four in ten are."""
    faults = _FAULTS + 4 * _of_server(own_influxd)

    await _survives(trial, seed, faults, store=own_influxd.url("faults"))
