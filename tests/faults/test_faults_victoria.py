"""VictoriaMetrics, which says yes before anything is on its disk: killed, hanging, far away."""

import time
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from cloud.ingest.ledger.file import LedgerFile
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.victoria.recent import KEEP_S
from tests.faults.conftest import DEVICES, Trial
from tests.faults.ingester import Config, secret_url
from tests.faults.plant import Plant
from tests.support.ingestion import ALWAYS
from tests.support.victoria import Victoria
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_HOUR_MS = 3_600_000


async def _restart(server: Victoria, *, away_s: float) -> None:
    """Kill it in the middle of whatever it does, and start it again after a while."""
    await anyio.to_thread.run_sync(server.kill)
    await anyio.sleep(away_s)
    await anyio.to_thread.run_sync(server.start)


def _last_of(book: LedgerFile) -> list[int]:
    """Return the sequence up to which the ledger has each device's readings."""
    keys = [DeviceKey(tenant_id("faults"), device_id(f"d{n}")) for n in range(DEVICES)]
    return [max((boot.last for boot in book.boots(key)), default=0) for key in keys]


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
async def test_faults_victoria_killed(stored: Trial, own_victoria: Victoria, away_s: float) -> None:
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
        await plant.ingester.kill()
        await plant.ingester.start()
        # What the killed one had not yet seen to is on the disk by then.
        await anyio.sleep(KEEP_S)
        await _restart(own_victoria, away_s=1)
        await anyio.sleep(2)
        await plant.ingester.kill()
        await plant.ingester.start()

    account = await stored(kill, lasts_s=KEEP_S + 15)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_victoria_and_ingester_killed_together(
    stored: Trial, own_victoria: Victoria
) -> None:
    """Then nobody has what it took last: that is lost, and not one reading more.

    What the ingester had counted as stored `KEEP_S` before is there, and what it had not counted
    comes again from the broker. So each missing reading lies between these two.
    """
    durable: list[tuple[float, list[int]]] = []
    counted: list[list[int]] = []

    async def kill(plant: Plant) -> None:
        book = LedgerFile(plant.ingester.folder / "ingest.db")
        began_s = anyio.current_time()
        while anyio.current_time() < began_s + KEEP_S + 12:
            durable.append((anyio.current_time(), _last_of(book)))
            await anyio.sleep(0.5)
        async with anyio.create_task_group() as both:
            both.start_soon(plant.ingester.kill)
            both.start_soon(anyio.to_thread.run_sync, own_victoria.kill)
        durable[:] = [one for one in durable if one[0] <= anyio.current_time() - KEEP_S]
        counted.append(_last_of(book))
        book.close()
        await anyio.to_thread.run_sync(own_victoria.start)
        await plant.ingester.start()

    reason = f"what a VictoriaMetrics that died with the ingester took in its last {KEEP_S:g} s"
    account = await stored(kill, lasts_s=KEEP_S + 25, except_for=reason)

    missing = await _missing(own_victoria, account.published // DEVICES)
    assert min(durable[-1][1]) > 0
    for seqs, first, last in zip(missing, durable[-1][1], counted[0], strict=True):
        assert all(first < seq <= last for seq in seqs)
    lost = sum(map(len, missing))
    assert account.faults() in (
        {},
        dict.fromkeys(("lost", "acked_and_missing", "miscounted"), lost),
    )
    assert account.stored + lost == account.published


async def _missing(server: Victoria, last: int) -> list[set[int]]:
    """Return the sequences of each device that are not stored."""
    stored: dict[str, set[int]] = {}
    async with open_timeseries(secret_url(server.url("faults")), data_dir=Path()) as store:
        for series in await store.read(ALWAYS):
            stored[series.key.device] = {int(float(value)) for _, value in series.points}
    return [set(range(1, last + 1)) - stored.get(f"d{n}", set()) for n in range(DEVICES)]
