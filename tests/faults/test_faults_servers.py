"""A store that is a server: killed, hanging, and answering what servers answer."""

import signal
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from cloud.ingest.ledger.file import LedgerFile
from tests.faults.conftest import MESSAGES, Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant, plant, publish_all
from tests.faults.publisher import Orders
from tests.support.influx_codes import Fault, influx_codes
from tests.support.influxd import Influxd
from tests.support.servers import Mosquitto

pytestmark = pytest.mark.anyio

_DEVICES = 20
_ANSWERS = (
    Fault(400, '{"error":"unable to parse something"}'),
    Fault(413, '{"error":"Request Entity Too Large"}'),
    Fault(429, '{"error":"slow down"}', {"Retry-After": "1"}),
    Fault(500, '{"error":"engine: something broke"}'),
    Fault(503, '{"error":"request throttled, queue full"}'),
    Fault(0),
)


async def test_faults_influxd_killed(trial: Trial, own_influxd: Influxd) -> None:
    """SIGKILL in the middle of writes: what it had answered it has, the rest comes again."""

    async def kill(plant: Plant) -> None:
        for share in (0.2, 0.5):
            await plant.reached(share)
            await anyio.to_thread.run_sync(own_influxd.kill)
            await anyio.sleep(1)
            await anyio.to_thread.run_sync(own_influxd.start)

    config = Config(0, "", own_influxd.url("faults"))
    account = await trial(kill, config=config, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_influxd_hangs(trial: Trial, own_influxd: Influxd) -> None:
    """SIGSTOP: it takes connections and answers nothing, then goes on; and with a kill behind."""

    async def hang(plant: Plant) -> None:
        await plant.reached(0.2)
        own_influxd.pause()
        await anyio.sleep(5)
        own_influxd.resume()
        await plant.reached(0.5)
        own_influxd.pause()
        await plant.ingester.kill()
        await anyio.to_thread.run_sync(own_influxd.kill)
        await anyio.to_thread.run_sync(own_influxd.start)
        await plant.ingester.start()

    config = Config(0, "", own_influxd.url("faults"))
    account = await trial(hang, config=config, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


async def test_faults_influxd_takes_parts(trial: Trial, own_influxd: Influxd) -> None:
    """Partial writes: each line of another type is one dead letter and costs no other line."""
    text = b'telemetry,tenant=other,device=other bad="a text" 1000000'
    async with httpx.AsyncClient(base_url=own_influxd.http_url, trust_env=False) as client:
        for path, body in (("/query?q=CREATE+DATABASE+faults", b""), ("/write?db=faults", text)):
            (await client.post(path, content=body)).raise_for_status()

    async def nothing(_plant: Plant) -> None:
        """The server's types are enough."""

    config = Config(0, "", own_influxd.url("faults"))
    account = await trial(nothing, config=config, is_careless=True, bad_every=50)

    bad = (MESSAGES or 4_000) // _DEVICES // 50 * _DEVICES
    assert account.faults() == {}
    assert account.dead == bad > 0
    assert account.stored == account.published - bad


@pytest.mark.parametrize(
    ("version", "partial"),
    [("1.8.10", True), ("2.7.0", True), ("2.7.0", False), ("3.0.0", True)],
)
async def test_faults_store_answers(
    own_mosquitto: Mosquitto, tmp_path: Path, version: str, *, partial: bool
) -> None:
    """Every kind of refusal, over and over, and the ingester killed: every line gets there.

    Beside them lines that it never takes: of a batch with such it takes the others, or nothing.
    """
    messages = (MESSAGES or 4_000) // _DEVICES * _DEVICES
    rate = messages / 6
    orders = Orders(0, messages, _DEVICES, rate=rate, is_careless=True, bad_every=200)

    with influx_codes(version) as codes:
        codes.partial = partial
        config = Config(0, str(tmp_path / "ingester"), codes.url())
        async with plant(own_mosquitto, tmp_path, orders, config) as running:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish_all, running)
                for share in (0.1, 0.25, 0.4, 0.55, 0.7):
                    await running.reached(share)
                    codes.faults += _ANSWERS
                running.ingester.signal(signal.SIGKILL)
                await running.ingester.kill()
                await running.ingester.start()
            await running.settled()
            await running.ingester.stop()
        stored = {line.partition(" ")[::2] for line in codes.lines if ",device=d" in line}

    book = LedgerFile(tmp_path / "ingester" / "ingest.db")
    dead = book.totals().dead
    book.close()
    assert running.outcome is not None
    assert codes.faults == []
    assert dead == orders.bad()
    times = {(series, rest.rpartition(" ")[2]) for series, rest in stored}
    assert len(times) == messages - orders.bad()
