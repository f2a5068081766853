"""The store away for so long that readings wait on disk, and what then goes wrong besides."""

import operator
from collections.abc import Callable
from functools import partial

import anyio
import pytest
from msgspec import structs

from cloud.ingest.ledger.file import LedgerFile
from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant

pytestmark = pytest.mark.anyio

_SPOOLING = Config(0, "", spool_after_s=0.2)
_SMALL_BYTES = 10_000
_SOON_S = 30.0


async def _until_spooled(plant: Plant, enough: Callable[[int], bool]) -> None:
    """Wait until that many readings are in the spool, by the ledger."""
    book = LedgerFile(plant.ingester.folder / "ingest.db")
    try:
        with anyio.fail_after(_SOON_S):
            while not enough(book.totals().spooled):  # noqa: ASYNC110 - in a file
                await anyio.sleep(0.02)
    finally:
        book.close()


async def _kill(plant: Plant) -> None:
    await plant.ingester.kill()
    await plant.ingester.start()


async def test_faults_spooling_and_draining_ingester_killed(trial: Trial) -> None:
    """SIGKILL while readings go into the spool, and while they come out: each is stored once."""

    async def kill(plant: Plant) -> None:
        await plant.reached(0.2)
        plant.ingester.switch("away", on=True)
        for least in (0, 500):
            await _until_spooled(plant, partial(operator.lt, least))
            await _kill(plant)
        await plant.reached(0.5)
        plant.ingester.switch("slow", on=True, text="0.4")
        plant.ingester.switch("away", on=False)
        for _ in range(2):
            await anyio.sleep(0.6)
            await _kill(plant)
        plant.ingester.switch("slow", on=False)
        await _until_spooled(plant, lambda now: now == 0)
        assert plant.ingester.has_said("spool.found")

    # Small batches come out one by one: it dies between them.
    config = structs.replace(_SPOOLING, batch_readings=300)
    account = await trial(kill, config=config, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_spool_full(trial: Trial) -> None:
    """It keeps within its bound, what does not fit stays with the broker; so does a killed one."""
    sizes: list[int] = []

    async def go_away(plant: Plant) -> None:
        await plant.reached(0.2)
        plant.ingester.switch("away", on=True)
        await _until_spooled(plant, lambda now: now > 0)
        for number in range(40):
            await anyio.sleep(0.1)
            files = (plant.ingester.folder / "spool").iterdir()
            sizes.append(sum(file.stat().st_size for file in files))
            if number == 20:
                await _kill(plant)
        plant.ingester.switch("away", on=False)

    config = structs.replace(_SPOOLING, batch_readings=300, spool_max_bytes=_SMALL_BYTES)
    account = await trial(go_away, config=config, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published
    assert 0 < max(sizes) <= _SMALL_BYTES


async def test_faults_spool_on_a_full_disk(trial: Trial) -> None:
    """Neither store nor spool nor ledger take anything for a while: nothing is lost."""

    async def fill(plant: Plant) -> None:
        await plant.reached(0.2)
        plant.ingester.switch("away", on=True)
        await _until_spooled(plant, lambda now: now > 0)
        plant.ingester.limit_file_size(4_096)
        await anyio.sleep(3)
        plant.ingester.limit_file_size(-1)
        await anyio.sleep(2)
        plant.ingester.switch("away", on=False)

    account = await trial(fill, config=_SPOOLING, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published
