"""`kill -9` of the pipeline in the middle of its work: everything is there, once."""

import sys
import threading
from pathlib import Path

import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.receiving.client import BrokerAccess
from cloud.timeseries.duckdb import DuckDB
from tests.support.ingestion import ALWAYS, running, until
from tests.support.processes import kill_when_it_says
from tests.support.servers import Mosquitto
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_DEVICES = 10
_READINGS = 400


def _publish_all(broker: Mosquitto) -> None:
    messages = [
        {
            "topic": f"t/acme/d{device}/telemetry",
            "payload": msgspec.json.encode(
                {"boot": "k", "seq": seq, "ts": seq, "values": {"t": float(seq)}}
            ),
            "qos": 1,
        }
        for seq in range(1, _READINGS + 1)
        for device in range(_DEVICES)
    ]
    publish.multiple(messages, hostname=broker.host, port=broker.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says


async def test_ingest_killed_stores_everything_once(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Killed three times under load, then left alone: no reading is missing, none counted twice."""
    command = [sys.executable, "-m", "tests.support.ingest_child"]
    command += [str(own_mosquitto.port), str(tmp_path)]
    kill_when_it_says(command, lambda line: line == "connected")
    publisher = threading.Thread(target=_publish_all, args=(own_mosquitto,))
    publisher.start()

    for _ in range(3):
        kill_when_it_says(command, lambda line: line.isdigit() and int(line) >= 200)
    publisher.join()

    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with (
        DuckDB(tmp_path / "t.duckdb") as store,
        running(tmp_path, store, broker=access) as run,
    ):
        # On a busy machine the killed ones may have stored it all.
        while (stored := run.ledger.totals().stored) < _DEVICES * _READINGS:
            before = len(run.tapped)
            await until(lambda before=before: len(run.tapped) > before)  # type: ignore[misc]  # a default is no argument
        found = await store.read(ALWAYS)

        assert stored == _DEVICES * _READINGS
        expected = [(seq, float(seq)) for seq in range(1, _READINGS + 1)]
        assert [series.points for series in found] == [expected] * _DEVICES
        for device in range(_DEVICES):
            key = DeviceKey(tenant_id("acme"), device_id(f"d{device}"))
            view = await run.ledger.view(key)
            assert (view.stored, view.boots[0].missing) == (_READINGS, [])
