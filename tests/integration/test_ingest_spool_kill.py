"""`kill -9` while the store comes and goes: what was acknowledged is there, once."""

import random
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
from tests.support.spool_child import SETTINGS
from tests.support.spools import payload_of

pytestmark = pytest.mark.anyio

_DEVICES, _READINGS, _KILLS = 10, 600, 8
Readings = list[tuple[str, int]]


def _publish_all(broker: Mosquitto) -> None:
    messages = [
        {"topic": f"t/acme/d{device}/telemetry", "payload": payload_of(seq), "qos": 1}
        for seq in range(1, _READINGS + 1)
        for device in range(_DEVICES)
    ]
    publish.multiple(messages, hostname=broker.host, port=broker.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says


def _killed_often(broker: Mosquitto, folder: Path, rng: random.Random) -> Readings:
    """Run and kill the pipeline again and again; return all that it acknowledged."""
    acknowledged: Readings = []
    for seed in range(_KILLS):
        left = rng.randrange(1, 20)

        def is_enough(line: str) -> bool:
            nonlocal left
            left -= line != "connected"
            return left <= 0

        command = [sys.executable, "-m", "tests.support.spool_child"]
        lines = kill_when_it_says([*command, str(broker.port), str(folder), str(seed)], is_enough)
        for line in lines:
            if line.endswith("]"):
                acknowledged += msgspec.json.decode(line, type=Readings)
    return acknowledged


async def _stored(store: DuckDB) -> Readings:
    return [
        (series.key.device, ts_ms)
        for series in await store.read(ALWAYS)
        for ts_ms, _ in series.points
    ]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_spool_killed_keeps_what_was_acknowledged(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Killed many times, store and spool hold all that was acknowledged; then all comes, once."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with (
        DuckDB(tmp_path / "t.duckdb") as store,
        running(tmp_path, store, broker=access, settings=SETTINGS),
    ):
        pass  # from now on the broker keeps what is published
    publisher = threading.Thread(target=_publish_all, args=(own_mosquitto,))
    publisher.start()
    acknowledged = _killed_often(own_mosquitto, tmp_path, random.Random(11))
    publisher.join()

    async with DuckDB(tmp_path / "t.duckdb") as store:
        before = await _stored(store)
        async with running(tmp_path, store, settings=SETTINGS) as run:
            await until(lambda: run.service.gateway.held == 0 and run.service.spool.last_id > 0)
            await until(lambda: run.service.spool.is_empty, within_s=60)
            totals = run.ledger.totals()
            alone = await _stored(store)
            assert run.number("spool_corrupt_files") == 0
        async with running(tmp_path, store, broker=access, settings=SETTINGS) as run:
            left = _DEVICES * _READINGS - totals.stored
            await until(lambda: run.number("readings_total", fate="stored") >= left, within_s=60)
            in_the_end, final = await _stored(store), run.ledger.totals()

    assert 0 < len(before) <= len(alone)
    assert 0 < len(acknowledged) < _DEVICES * _READINGS
    assert set(acknowledged) <= set(alone)
    assert (totals.stored, totals.in_flight, totals.dead) == (len(alone), 0, 0)
    expected = [
        (f"d{device}", seq) for device in range(_DEVICES) for seq in range(1, _READINGS + 1)
    ]
    assert sorted(in_the_end) == sorted(expected)
    assert (final.stored, final.dead, final.in_flight) == (len(expected), 0, 0)
