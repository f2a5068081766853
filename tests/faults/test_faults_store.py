"""The store away, refusing, or without room; and the memory that waiting costs."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from msgspec import structs

from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant

pytestmark = pytest.mark.anyio

# What the inbox holds, and as much of it decoded, as rows, as columns, packed, not given back.
_MOST_SPOOLING_MB = 400
_SPOOLING = Config(0, "", spool_after_s=0.2)
_DISK_MB = 64
# A look is 0.1 s: all in the time in which the store is tried, before the spool takes what waits.
_LOOKS = 80


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk for this test; who may not mount cannot try this."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Take every byte that is left on a disk."""
    with path.open("wb", buffering=0) as file:
        for size_bytes in (1 << 20, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size_bytes)


async def test_faults_store_away(trial: Trial) -> None:
    """Nothing is acknowledged while it is away; what waits is stored when it is back."""

    async def go_away(plant: Plant) -> None:
        for share in (0.2, 0.5):
            await plant.reached(share)
            plant.ingester.switch("away", on=True)
            await anyio.sleep(3)
            plant.ingester.switch("away", on=False)
        assert plant.ingester.has_said("switched off by the test")

    account = await trial(go_away, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_store_away_and_ingester_killed(trial: Trial) -> None:
    """What waited in the killed process had not been acknowledged: it comes again."""

    async def go_away(plant: Plant) -> None:
        await plant.reached(0.3)
        plant.ingester.switch("away", on=True)
        await anyio.sleep(1)
        await plant.ingester.kill()
        await plant.ingester.start()
        await anyio.sleep(1)
        plant.ingester.switch("away", on=False)

    account = await trial(go_away, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_store_refuses_one_value(trial: Trial) -> None:
    """Each of the devices' readings of 666 is one dead letter, and costs no other reading."""

    async def refuse(plant: Plant) -> None:
        plant.ingester.switch("refusing", on=True)

    account = await trial(refuse, share=2.0, lasts_s=0.0)

    assert account.faults() == {}
    assert account.dead == 20
    assert account.stored == account.published - 20


@pytest.mark.parametrize(
    ("config", "most_mb"),
    [
        (Config(0, ""), 200),
        (_SPOOLING, _MOST_SPOOLING_MB),
        (structs.replace(_SPOOLING, spool_max_bytes=100_000), _MOST_SPOOLING_MB),
    ],
    ids=["tried", "spooled", "spool_full"],
)
async def test_faults_memory_is_bounded_while_the_store_is_away(
    trial: Trial, config: Config, most_mb: int
) -> None:
    """The inbox holds 64 MiB and 20,000 messages at most, whatever waits behind it."""
    grown_mb: list[float] = []

    async def go_away(plant: Plant) -> None:
        await plant.reached(0.1)
        before_mb = plant.ingester.memory_mb()
        plant.ingester.switch("away", on=True)
        while not plant.finished.is_set() or len(grown_mb) < _LOOKS:
            await anyio.sleep(0.1)
            grown_mb.append(plant.ingester.memory_mb() - before_mb)
        plant.ingester.switch("away", on=False)

    account = await trial(
        go_away, config=config, messages=25_000, lasts_s=0.0, padding=16_000, is_careless=True
    )

    assert account.faults() == {}
    assert max(grown_mb) < most_mb


async def test_faults_disk_really_full(trial: Trial, small_disk: Path) -> None:
    """Not a byte is left on the disk of the store, the ledger and the spool, and then there is."""

    async def fill(plant: Plant) -> None:
        for share in (0.3, 0.6):
            await plant.reached(share)
            await anyio.to_thread.run_sync(_fill, small_disk / "filler")
            await anyio.sleep(3)
            (small_disk / "filler").unlink()
        assert plant.ingester.has_said("peer.lost")

    config = structs.replace(_SPOOLING, folder=str(small_disk / "ingester"))
    account = await trial(fill, config=config, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.short
async def test_faults_disk_full(trial: Trial) -> None:
    """No file can grow for a while, neither the store's nor the ledger's: nothing is lost."""

    async def fill(plant: Plant) -> None:
        await plant.reached(0.3)
        plant.ingester.limit_file_size(4_096)
        await anyio.sleep(3)
        plant.ingester.limit_file_size(-1)
        assert plant.ingester.has_said("peer.lost")

    account = await trial(fill, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published
