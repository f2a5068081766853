"""The whole product while its telemetry server is not there yet, comes, dies and comes back."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from cloud.ingest.ledger.file import LedgerFile
from cloud.timeseries.open import open_timeseries
from tests.faults.conftest import Trial
from tests.faults.ingester import Config, secret_url
from tests.faults.plant import Plant
from tests.faults.product import Product
from tests.support.influxd import Influxd
from tests.support.ingestion import ALWAYS
from tests.support.proxy import Proxy
from tests.support.victoria import Victoria

pytestmark = pytest.mark.anyio

_HOUR_MS = 3_600_000
# Little more than what comes in meanwhile.
_NARROW_BYTES_PER_S = {"influxd": 60_000.0, "victoria": 20_000.0}
_LOOKS = 3

Server = Influxd | Victoria


@pytest.fixture(params=["influxd", "victoria"])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server of each kind that does not run yet."""
    found = request.getfixturevalue(f"own_{request.param}")
    assert isinstance(found, Influxd | Victoria)
    found.stop()
    return found


def _show(server: Server) -> Callable[[], None]:
    return server.flush if isinstance(server, Victoria) else lambda: None


def _spooled(product: Product) -> int:
    book = LedgerFile(product.folder / "ingest.db")
    try:
        return book.totals().spooled
    finally:
        book.close()


async def _stored(server: Server) -> dict[str, list[int]]:
    await anyio.to_thread.run_sync(_show(server))
    async with open_timeseries(secret_url(server.url("faults")), data_dir=Path()) as store:
        return {
            one.key.device: sorted(int(float(value)) for _, value in one.points)
            for one in await store.read(ALWAYS)
            if one.key.metric == "v"
        }


async def _look(product: Product, server: Server) -> int:
    """Stop the product in the middle of a word; what is stored has no holes. Return how much."""
    product.signal(signal.SIGSTOP)
    try:
        # What it had sent is taken by now.
        await anyio.sleep(0.5)
        stored = await _stored(server)
    finally:
        product.signal(signal.SIGCONT)
    for seqs in stored.values():
        assert seqs == list(range(1, len(seqs) + 1))
    return sum(map(len, stored.values()))


async def _is_away(product: Product) -> None:
    """See that it says what is so: alive, ready, and that the store is away and readings wait."""
    await product.until_part("spool", "ConnectionError")
    await product.until_part("telemetry", ("StoreAway", "Cut"))
    health, ready = await product.answer("/health"), await product.answer("/ready")
    assert health is not None
    assert ready is not None
    assert (health.status_code, ready.status_code) == (503, 200)
    assert health.json()["status"] == "degraded"
    parts = health.json()["parts"]
    assert {name for name, said in parts.items() if said != "ok"} == {"spool", "telemetry"}
    assert "readings wait on disk for the store" in parts["spool"]


async def _is_whole(product: Product) -> None:
    """See that everything is well again, and nothing waits."""
    for name in ("telemetry", "spool"):
        await product.until_part(name, "ok")
    ready = await product.answer("/ready")
    assert ready is not None
    assert ready.status_code == 200


@pytest.mark.short
@pytest.mark.slow
async def test_faults_product_before_its_store(trial: Trial, server: Server) -> None:
    """It takes, keeps and acknowledges; then all drains in order, and so after a kill."""
    looks: list[int] = []

    async def come_and_go(plant: Plant) -> None:
        product = plant.ingester
        assert isinstance(product, Product)
        # Only what was acknowledged counts: with nothing but the disk to keep it.
        await plant.reached(0.2)
        await _is_away(product)
        leg.to_server.bytes_per_s = _NARROW_BYTES_PER_S[server.name]
        await anyio.to_thread.run_sync(server.start)
        while (len(looks) < _LOOKS or looks[0] == looks[-1]) and _spooled(product):
            if await _stored(server):
                looks.append(await _look(product, server))
            await anyio.sleep(0.2)
        leg.heal()
        await _is_whole(product)
        await anyio.to_thread.run_sync(server.kill)
        await _is_away(product)
        await anyio.to_thread.run_sync(server.start)
        await plant.finished.wait()
        await _is_whole(product)

    async with Proxy(server.port) as leg:
        url = server.url("faults").replace(str(server.port), str(leg.port))
        account = await trial(
            come_and_go,
            config=Config(0, "", url, batch_readings=200, spool_after_s=0.5),
            ingester=Product,
            messages=8_000,
            rate=8_000 / 18,
            show=_show(server),
            first_ts_ms=time.time_ns() // 1_000_000 - _HOUR_MS,
        )

    assert account.faults() == {}
    assert account.stored == account.published
    # Some of it, and not yet all, had come out of the spool.
    assert len(looks) >= _LOOKS
    assert looks[0] < looks[-1] < account.published
