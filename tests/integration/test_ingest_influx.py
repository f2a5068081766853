"""The pipeline on a real InfluxDB that is killed, hangs and comes back: every reading once."""

import threading
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.receiving.client import BrokerAccess
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import parse_address
from tests.support.influx_codes import influx_codes
from tests.support.influxd import Influxd
from tests.support.ingestion import ALWAYS, Running, running, until
from tests.support.servers import Mosquitto
from tidegate.configuration import Secret
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_READINGS = 3_000
_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def _reading(seq: int, **values: object) -> dict[str, object]:
    payload = {"boot": "k", "seq": seq, "ts": seq, "values": {"t": float(seq), **values}}
    topic = "t/acme/pump/telemetry"
    return {"topic": topic, "payload": msgspec.json.encode(payload), "qos": 1}


def _publish(broker: Mosquitto, messages: list[dict[str, object]]) -> None:
    publish.multiple(messages, hostname=broker.host, port=broker.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says


async def _all_told(run: Running, count: int) -> None:
    with anyio.fail_after(20):
        while run.ledger.totals().stored < count:  # noqa: ASYNC110 - a file is asked
            await anyio.sleep(0.02)


async def _one_more_retry(run: Running) -> None:
    before = run.number("store_retries_total")
    await until(lambda: run.number("store_retries_total") > before)


async def test_ingest_loses_nothing_over_an_influx_that_dies_and_hangs(
    own_mosquitto: Mosquitto, own_influxd: Influxd, tmp_path: Path
) -> None:
    """Killed and started under load, paused and resumed: each reading is stored, none twice."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    address = parse_address(Secret(own_influxd.url("db")))
    readings = [_reading(seq, mode="auto") for seq in range(1, _READINGS + 1)]
    publisher = threading.Thread(target=_publish, args=(own_mosquitto, readings))
    async with (
        open_remote(address, timeout_s=1.0) as store,
        running(tmp_path, store, broker=access) as run,
    ):
        publisher.start()
        await until(lambda: bool(run.tapped))
        own_influxd.kill()
        await _one_more_retry(run)
        own_influxd.start()
        await anyio.to_thread.run_sync(publisher.join)
        own_influxd.pause()
        _publish(own_mosquitto, [_reading(_READINGS + 1)])
        await _one_more_retry(run)
        own_influxd.resume()
        await _all_told(run, _READINGS + 1)
        view = await run.ledger.view(_PUMP)
        found = {str(series.key.metric): series.points for series in await store.read(ALWAYS)}

    assert (view.stored, view.boots[0].missing) == (_READINGS + 1, [])
    assert found["t"] == [(seq, float(seq)) for seq in range(1, _READINGS + 2)]
    assert found["mode"] == [(seq, "auto") for seq in range(1, _READINGS + 1)]


async def test_ingest_one_refused_line_is_one_dead_letter(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The message that holds the line is a letter with the server's reason; no other is."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    readings = [_reading(seq) for seq in range(1, 501)]
    readings[300] = _reading(301, bad=1.0)
    with influx_codes("1.8.10") as codes:
        async with (
            open_timeseries(Secret(codes.url()), data_dir=tmp_path) as store,
            running(tmp_path, store, broker=access) as run,
        ):
            _publish(own_mosquitto, readings)
            await _all_told(run, 499)
            letters = await run.ledger.dead_letters(limit=9)

    assert codes.times == [seq for seq in range(1, 501) if seq != 301]
    [letter] = letters
    assert "field type conflict" in letter.reason
    assert msgspec.json.decode(letter.payload)["seq"] == 301
