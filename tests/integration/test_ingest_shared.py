"""Two ingesters of a group at a real broker: they share the messages and know of each other's."""

from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Flaky, Running, running, until
from tests.support.servers import Mosquitto
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_READINGS = 60


async def _publish(broker: Mosquitto, first: int, last: int) -> None:
    messages = [
        {
            "topic": "t/acme/pump/telemetry",
            "payload": msgspec.json.encode({"boot": "k", "seq": n, "ts": n, "values": {"t": n}}),
            "qos": 1,
        }
        for n in range(first, last + 1)
    ]
    await anyio.to_thread.run_sync(
        lambda: publish.multiple(messages, hostname=broker.host, port=broker.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says
    )


async def _until_it_misses_nothing(run: Running) -> None:
    """Wait until a member's ledger has every sequence, its own and what others told."""
    with anyio.fail_after(15):
        while True:
            boots = (await run.ledger.view(_PUMP)).boots
            if boots and (boots[0].last, boots[0].missing) == (_READINGS, []):
                return
            await anyio.sleep(0.1)


async def test_shared_members_store_each_reading_once_and_see_no_gap(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Each message goes to one of them, and neither takes the other's part for lost."""
    settings = Settings(batch_wait_s=0.02, shared_group="ingest")
    one, two = Flaky(), Flaky()
    accesses = [
        BrokerAccess(own_mosquitto.host, own_mosquitto.port, client_id=name)
        for name in ("one", "two")
    ]
    for access in accesses:
        (tmp_path / access.client_id).mkdir()
    async with (
        running(tmp_path / "one", one, broker=accesses[0], settings=settings) as first,
        running(tmp_path / "two", two, broker=accesses[1], settings=settings) as second,
    ):
        await _publish(own_mosquitto, 1, _READINGS)
        await until(lambda: one.written + two.written == _READINGS)
        await _until_it_misses_nothing(first)
        await _until_it_misses_nothing(second)

        assert 0 < one.written < _READINGS
        totals = [run.ledger.totals() for run in (first, second)]
        assert [total.stored for total in totals] == [one.written, two.written]
        assert sum(total.duplicate for total in totals) == 0
