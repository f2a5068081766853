"""What is not the machines' fault: strangers with our name, bad payloads, clocks that jump."""

import time

import anyio
import anyio.to_thread
import pytest
from paho.mqtt import publish

from cloud.ingest.ledger.file import LedgerFile
from tests.faults.conftest import Trial
from tests.faults.plant import Plant
from tests.support.broker_clients import Client

pytestmark = pytest.mark.anyio

_BAD = 2_000
_DAY_MS = 24 * 3_600 * 1_000


async def test_faults_session_taken_over(trial: Trial) -> None:
    """A stranger with the ingester's client id destroys its queue: devices send it again."""

    def steal(port: int) -> None:
        with Client(port, client_id="tidegate-ingest"):
            pass

    async def take_over(plant: Plant) -> None:
        for share in (0.2, 0.5):
            await plant.reached(share)
            await anyio.to_thread.run_sync(steal, plant.broker.port)

    account = await trial(take_over)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.short
async def test_faults_bad_payloads_between_good_ones(trial: Trial) -> None:
    """2,000 payloads that are nothing each become a dead letter and stop nobody."""
    letters: list[int] = []

    def publish_bad(port: int) -> None:
        bad = (b"junk", b"\xff\xfe", b"[" * 200, b'{"values":{"v":NaN}}')
        messages = [
            {"topic": "t/faults/bad/telemetry", "payload": bad[n % len(bad)], "qos": 1}
            for n in range(_BAD)
        ]
        publish.multiple(messages, hostname="127.0.0.1", port=port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says

    async def be_bad(plant: Plant) -> None:
        await plant.reached(0.3)
        await anyio.to_thread.run_sync(publish_bad, plant.broker.port)
        await plant.settled()
        book = LedgerFile(plant.ingester.folder / "ingest.db")
        letters.append(book.totals()[2])
        book.close()

    account = await trial(be_bad)

    assert account.faults() == {}
    assert account.stored == account.published
    assert letters == [_BAD]


async def test_faults_clock_jumps(trial: Trial) -> None:
    """Of a day back and forth: what then lies in the future is dead-lettered, nothing is lost."""
    now_ms = time.time_ns() // 1_000_000

    async def jump(plant: Plant) -> None:
        await plant.reached(0.2)
        plant.ingester.switch("clock", on=True, text=str(_DAY_MS))
        await plant.reached(0.4)
        plant.ingester.switch("clock", on=True, text=str(-_DAY_MS))
        await plant.reached(0.5)
        plant.ingester.switch("clock", on=False)

    account = await trial(jump, first_ts_ms=now_ms)

    assert account.faults() == {}
    assert account.stored + account.dead == account.published
    assert account.dead > 0
