"""Two ingesters that share the work: each message goes to one, and both know what all have."""

from pathlib import Path

import anyio
import msgspec
import pytest

from cloud.ingest.ledger.ledger import Ledger
from cloud.timeseries.open import open_timeseries
from tests.faults.ingester import Config
from tests.faults.plant import Ingester, plant, publish_all
from tests.faults.publisher import Orders, Outcome
from tests.support.ingestion import ALWAYS
from tests.support.servers import Mosquitto
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_DEVICES, _MESSAGES = 5, 4_000
_NAMES = ("one", "two")


def _config(name: str, tmp_path: Path) -> Config:
    return Config(0, str(tmp_path / name), client_id=f"ingest-{name}", group="ingest")


async def _stored(folder: Path) -> list[tuple[str, int]]:
    async with open_timeseries(None, data_dir=folder) as store:
        return [
            (series.key.device, ts_ms)
            for series in await store.read(ALWAYS)
            for ts_ms, _ in series.points
            if series.key.device != "marker"
        ]


async def _missing(folder: Path) -> list[list[tuple[int, int]]]:
    async with Ledger(folder / "ingest.db") as ledger:
        keys = [DeviceKey(tenant_id("faults"), device_id(f"d{n}")) for n in range(_DEVICES)]
        return [(await ledger.view(key)).boots[0].missing for key in keys]


async def _with_one_killed(broker: Mosquitto, tmp_path: Path, orders: Orders) -> Outcome:
    """Let two ingesters share what devices publish; one is killed and comes back."""
    async with plant(broker, tmp_path, orders, _config("one", tmp_path)) as running:
        other = Ingester(msgspec.structs.replace(_config("two", tmp_path), port=broker.port))
        try:
            await other.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish_all, running)
                await running.reached(0.3)
                await other.kill()
                await anyio.sleep(1)
                await other.start()
            await running.settled()
            await anyio.sleep(2)
            await running.ingester.stop()
            await other.stop()
        finally:
            await other.aclose()
    assert running.outcome is not None
    return running.outcome


async def test_faults_group_stores_everything_once(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Each message is stored by one of them; what the killed one had been given waits for it."""
    orders = Orders(0, _MESSAGES, _DEVICES, rate=1_000.0, is_careless=True)

    await _with_one_killed(own_mosquitto, tmp_path, orders)

    parts = [await _stored(tmp_path / name) for name in _NAMES]
    both = parts[0] + parts[1]
    assert len(both) == len(set(both)) == _MESSAGES
    assert min(map(len, parts)) > _MESSAGES // 10


@pytest.mark.short
async def test_faults_group_acknowledges_and_declares_no_false_gap(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Devices that wait end to end get their acknowledgements; each ledger knows of all."""
    orders = Orders(0, _MESSAGES, _DEVICES, rate=1_000.0)

    outcome = await _with_one_killed(own_mosquitto, tmp_path, orders)

    assert outcome.acked == [_MESSAGES // _DEVICES] * _DEVICES
    parts = [await _stored(tmp_path / name) for name in _NAMES]
    assert len({*parts[0], *parts[1]}) == _MESSAGES
    for name in _NAMES:
        assert await _missing(tmp_path / name) == [[]] * _DEVICES
