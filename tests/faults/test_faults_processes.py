"""Broker and ingester killed, stopped in the middle of a word, and restarted, one after another."""

import signal

import anyio
import anyio.to_thread
import pytest

from tests.faults.conftest import Trial
from tests.faults.plant import Plant

pytestmark = pytest.mark.anyio

_SHARES = (0.15, 0.3, 0.5, 0.7)


async def _forgetful_restart(plant: Plant) -> None:
    """Kill the broker, lose what it had on disk, start it again."""
    await anyio.to_thread.run_sync(plant.broker.kill)
    for file in plant.broker.folder.glob("*.db"):
        file.unlink()
    await anyio.to_thread.run_sync(plant.broker.start)


async def test_faults_none(trial: Trial) -> None:
    """With nothing in the way everything is stored, once, and nothing is sent again."""

    async def nothing(_plant: Plant) -> None:
        """Let it be."""

    account = await trial(nothing)

    assert account.faults() == {}
    assert (account.stored, account.dead, account.in_gaps) == (account.published, 0, 0)


async def test_faults_ingester_killed(trial: Trial) -> None:
    """SIGKILL in the middle of its work, again and again."""

    async def kill(plant: Plant) -> None:
        for share in _SHARES:
            await plant.reached(share)
            await plant.ingester.kill()
            await plant.ingester.start()

    account = await trial(kill)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.short
async def test_faults_ingester_killed_under_careless_devices(trial: Trial) -> None:
    """Nobody sends anything again: what was not durable must not have been acknowledged."""

    async def kill(plant: Plant) -> None:
        for share in _SHARES:
            await plant.reached(share)
            await plant.ingester.kill()
            await plant.ingester.start()

    account = await trial(kill, is_careless=True)

    assert account.faults() == {}
    assert (account.stored, account.repeated) == (account.published, 0)


async def test_faults_ingester_stopped_and_continued(trial: Trial) -> None:
    """SIGSTOP for longer than its keep-alive: the broker has given it up when it goes on."""

    async def stop(plant: Plant) -> None:
        for share in _SHARES[:2]:
            await plant.reached(share)
            plant.ingester.signal(signal.SIGSTOP)
            await anyio.sleep(4)
            plant.ingester.signal(signal.SIGCONT)

    account = await trial(stop, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.short
async def test_faults_broker_killed_under_patient_devices(trial: Trial) -> None:
    """SIGKILL loses what the broker had acknowledged: devices send it again, so all is stored."""

    async def kill(plant: Plant) -> None:
        for share in _SHARES:
            await plant.reached(share)
            await plant.restart_broker(plant.broker.kill)

    account = await trial(kill)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_broker_killed_under_careless_devices(trial: Trial) -> None:
    """Devices that trust the broker lose messages with it: each of them is in a declared gap."""

    async def kill(plant: Plant) -> None:
        for share in (0.2, 0.4):
            await plant.reached(share)
            await plant.ingester.kill()
            await anyio.sleep(0.5)
            await _forgetful_restart(plant)
            await plant.ingester.start()

    # What is lost at the very end nobody can know of: devices go on for a while.
    account = await trial(kill, is_careless=True, lasts_s=10.0)

    # Killed between the store's write and the ledger's: nobody was told that these are stored, and
    # the broker that would have repeated them has forgotten them. They are in both.
    assert account.faults().keys() <= {"miscounted"}
    assert account.stored + account.in_gaps - account.miscounted == account.published
    assert account.in_gaps > 0


async def test_faults_broker_stopped_and_continued(trial: Trial) -> None:
    """SIGSTOP of the broker: nobody is answered for a while, then it goes on as if nothing were."""

    async def stop(plant: Plant) -> None:
        for share in _SHARES[:2]:
            await plant.reached(share)
            plant.broker.pause()
            await anyio.sleep(5)
            plant.broker.resume()

    account = await trial(stop, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_everything_killed_at_once(trial: Trial) -> None:
    """As when the machine loses power, and the broker's disk with it."""

    async def kill(plant: Plant) -> None:
        for share in _SHARES[:2]:
            await plant.reached(share)
            # Without a pause, and to the devices' harm: what only the broker held is gone.
            await anyio.to_thread.run_sync(plant.broker.kill)
            await plant.ingester.kill()
            await _forgetful_restart(plant)
            await plant.ingester.start()

    account = await trial(kill)

    assert account.faults() == {}
    assert account.stored == account.published
