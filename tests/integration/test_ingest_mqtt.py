"""The pipeline at a real broker: nothing lost, nothing twice, whatever goes away."""

import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Spool
from cloud.timeseries.duckdb import DuckDB
from tests.support.broker_clients import Client
from tests.support.ingestion import Flaky, running, until
from tests.support.servers import Mosquitto
from wire.codecs.json import decode_ack
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_TOPIC = "t/acme/pump/telemetry"


@pytest.fixture(params=[True, False], ids=["mqtt5", "mqtt311"])
def access(request: pytest.FixtureRequest, own_mosquitto: Mosquitto) -> BrokerAccess:
    """Return how to reach the broker, in both versions of the protocol."""
    return BrokerAccess(own_mosquitto.host, own_mosquitto.port, mqtt5=request.param)


@pytest.fixture
def acks(own_mosquitto: Mosquitto) -> Iterator["queue.Queue[tuple[str, bytes]]"]:
    """Return the end-to-end acknowledgements that devices get."""
    heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
    with Client(own_mosquitto.port) as client:
        client.paho.on_message = lambda _c, _d, message: heard.put(
            (message.topic, bytes(message.payload))
        )
        client.subscribe("t/+/+/ack")
        yield heard


def _reading(seq: int, value: object = 1.0) -> bytes:
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": {"t": value}})


async def _publish(broker: Mosquitto, *payloads: bytes, topic: str = _TOPIC) -> None:
    messages = [{"topic": topic, "payload": payload, "qos": 1} for payload in payloads]
    await anyio.to_thread.run_sync(
        lambda: publish.multiple(messages, hostname=broker.host, port=broker.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says
    )


def _last_seq(acks: "queue.Queue[tuple[str, bytes]]") -> int:
    """Return the sequence of the last acknowledgement, once no more come."""
    last = 0
    with suppress(queue.Empty):
        while True:
            last = decode_ack(acks.get(timeout=0.3)[1]).seq
    return last


async def test_mqtt_malformed_is_buried_and_nothing_stops(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """Between good messages junk, foreign names and half bad batches: each has its fate."""
    half_bad = (
        b'{"boot":"k","points":[{"seq":3,"values":{"t":null}},{"seq":4,"ts":4,"values":{"t":4}}]}'
    )
    async with (
        DuckDB(tmp_path / "t.duckdb") as store,
        running(tmp_path, store, broker=access) as run,
    ):
        await _publish(own_mosquitto, _reading(1), b"junk", _reading(2), half_bad, _reading(5))
        await _publish(own_mosquitto, b"{}", topic=f"t/{'x' * 70}/pump/telemetry")
        await _publish(own_mosquitto, b"junk", b'{"state":"online"}', topic="t/acme/pump/status")
        await until(lambda: run.number("messages_total") == 8)

        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.received) == (4, 2, 6)
        assert view.boots[0].missing == []
        assert [ts_ms for _, ts_ms, _ in await run.points()] == [1, 2, 4, 5]
        assert len(await run.ledger.dead_letters()) == 4
        assert run.number("foreign_messages_total") == 1
        assert run.presence.of(_PUMP).online is True


async def test_mqtt_duplicates_are_counted_and_acknowledged(
    own_mosquitto: Mosquitto,
    access: BrokerAccess,
    acks: "queue.Queue[tuple[str, bytes]]",
    tmp_path: Path,
) -> None:
    """A repeated message is not stored again, but its sender is told again."""
    store = Flaky()
    async with running(tmp_path, store, broker=access) as run:
        await _publish(own_mosquitto, _reading(1), _reading(2), _reading(4))
        first = await anyio.to_thread.run_sync(lambda: acks.get(timeout=5))
        await _publish(own_mosquitto, _reading(2))
        second = await anyio.to_thread.run_sync(lambda: acks.get(timeout=5))
        await _publish(own_mosquitto, _reading(3))
        third = await anyio.to_thread.run_sync(lambda: acks.get(timeout=5))

        assert first == second == ("t/acme/pump/ack", b'{"boot":"k","seq":2}')
        assert third == ("t/acme/pump/ack", b'{"boot":"k","seq":4}')
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.duplicate) == (4, 1)
        assert store.written == 4


async def test_mqtt_store_away_loses_nothing(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """More messages than the buffer holds wait in the broker until the store is back."""
    store = Flaky()
    store.away = True
    settings = Settings(batch_readings=50, batch_wait_s=0.02, queue_messages=100)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        await _publish(own_mosquitto, *map(_reading, range(1, 1001)))
        await until(lambda: run.service.gateway.held >= (100 if access.mqtt5 else 20))
        held, stored = run.service.gateway.held, store.written
        store.away = False
        await until(lambda: store.written == 1000)

        # One read of the socket may go beyond the bound, no more.
        assert held < 1000
        assert stored == 0
        await until(lambda: run.service.gateway.held == 0)
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.duplicate) == (1000, 0)
        assert len(await run.points()) == 1000


async def test_mqtt_reconnecting_while_the_store_is_away_stays_in_its_bound(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """A session begins with all that is not acknowledged: without room it is not begun."""
    store = Flaky()
    store.away = True
    settings = Settings(
        batch_readings=50, batch_wait_s=0.02, queue_messages=100, spool=Spool(max_bytes=0)
    )
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port, keepalive_s=1)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        await _publish(own_mosquitto, *map(_reading, range(1, 301)))
        await until(lambda: run.service.gateway.held >= 100)
        held = run.service.gateway.held
        await anyio.to_thread.run_sync(own_mosquitto.stop)
        await anyio.to_thread.run_sync(own_mosquitto.start)
        await until(lambda: not run.service.is_connected)
        with anyio.move_on_after(3):  # time enough to come back, were it meant to
            await until(lambda: run.service.is_connected)
        held_after = run.service.gateway.held
        store.away = False
        await until(lambda: store.written == 300 and run.service.gateway.held == 0)

        assert held_after == held
        assert (await run.ledger.view(_PUMP)).stored == 300


async def test_mqtt_what_waits_while_we_are_down_comes_later(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """The session persists: messages published between two runs are stored by the second."""
    store = Flaky()
    async with running(tmp_path, store, broker=access) as run:
        await _publish(own_mosquitto, _reading(1))
        await until(lambda: store.written == 1)
        await anyio.sleep(0.6)

    await _publish(own_mosquitto, *map(_reading, range(2, 12)))
    async with running(tmp_path, store, broker=access) as run:
        await until(lambda: store.written == 11)

        assert run.number("session_lost_total") == 0
        assert (await run.ledger.view(_PUMP)).duplicate == 0


async def test_mqtt_stop_under_load_stores_and_acknowledges_what_it_has(
    own_mosquitto: Mosquitto,
    access: BrokerAccess,
    acks: "queue.Queue[tuple[str, bytes]]",
    tmp_path: Path,
) -> None:
    """The intake stops first, so the rest is soon done; who sent it is told, and sends no more."""
    store = Flaky()
    settings = Settings(batch_readings=10, batch_wait_s=0.02, queue_messages=100)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        store.takes_s = 0.02
        padding = b" " * 2_000  # so that one read of the socket is not already all there is
        await _publish(own_mosquitto, *(_reading(seq) + padding for seq in range(1, 3001)))
        await until(lambda: store.written >= 100)
        began_s = time.monotonic()
    took_s, stored = time.monotonic() - began_s, store.written
    last = _last_seq(acks)
    store.takes_s = 0.0
    async with running(tmp_path, store, broker=access) as run:
        await until(lambda: store.written == 3000 and run.service.gateway.held == 0)
        view = await run.ledger.view(_PUMP)

    assert stored < 3000
    assert took_s < 2.5
    assert last == stored
    assert (view.stored, view.duplicate) == (3000, 0)


async def test_mqtt_stop_tells_senders_also_when_it_cannot_finish(
    own_mosquitto: Mosquitto, acks: "queue.Queue[tuple[str, bytes]]", tmp_path: Path
) -> None:
    """What is durable when time is up has been acknowledged, but for the batch on its way."""
    store, batch_readings = Flaky(), 5
    settings = Settings(batch_readings=batch_readings, batch_wait_s=0.02)
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        store.takes_s = 0.02
        await _publish(own_mosquitto, *map(_reading, range(1, 2001)))
        await until(lambda: run.service.gateway.held >= 1500)

    async with running(tmp_path, store) as run:
        view = await run.ledger.view(_PUMP)
    last = _last_seq(acks)
    assert 0 < view.stored < 1500
    assert view.stored - last in (0, batch_readings)


class _ForgetsOnce(Ledger):
    """A ledger that remembers no fact at the first attempt."""

    _failures = 1

    async def remember(self, name: str, value: str) -> None:
        """Remember, but for the first time."""
        if self._failures:
            self._failures -= 1
            raise LedgerAway("disk full")
        await super().remember(name, value)


async def test_mqtt_session_is_noted_after_the_ledger_was_away(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """A full disk at that moment ends nothing: it is tried again."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with running(tmp_path, Flaky(), broker=access, open_ledger=_ForgetsOnce) as run:
        with anyio.fail_after(5):
            while await run.ledger.fact("mqtt_session") is None:  # noqa: ASYNC110 - in a file
                await anyio.sleep(0.05)

        assert run.number("store_retries_total") == 1


async def test_mqtt_retained_birth_is_no_hearing(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    """After a restart a device that fell silent long ago is not shown as just heard."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    with Client(own_mosquitto.port) as client:
        client.publish("t/acme/pump/status", b'{"state":"online"}', retain=True)

        async with running(tmp_path, Flaky(), broker=access) as run:
            await until(lambda: run.presence.of(_PUMP).online is True)

            assert run.presence.of(_PUMP).last_heard_ms is None


async def test_mqtt_broker_restart_recovers(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """After the broker was away we are there again, and its unacknowledged messages count once."""
    store = Flaky()
    async with running(tmp_path, store, broker=access) as run:
        store.away = True
        await _publish(own_mosquitto, *map(_reading, range(1, 21)))
        await until(lambda: run.service.gateway.held == 20)
        await anyio.to_thread.run_sync(own_mosquitto.stop)
        await until(lambda: not run.service.is_connected)
        await anyio.to_thread.run_sync(own_mosquitto.start)
        await until(lambda: run.service.is_connected)
        store.away = False
        await _publish(own_mosquitto, _reading(21))
        await until(lambda: store.written == 21)
        await until(lambda: run.service.gateway.held == 0)

        view = await run.ledger.view(_PUMP)
        assert (view.stored, len(await run.points())) == (21, 21)
        assert view.boots[0].missing == []
        assert run.number("session_lost_total") == 0
        assert run.number("reconnects_total") >= 1


async def test_mqtt_lost_session_is_counted(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A broker that forgot us is a loss that must be visible."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with running(tmp_path, Flaky(), broker=access) as run:
        await anyio.to_thread.run_sync(own_mosquitto.kill)
        for file in own_mosquitto.folder.glob("*.db"):
            file.unlink()
        await until(lambda: not run.service.is_connected)
        await anyio.to_thread.run_sync(own_mosquitto.start)
        await until(lambda: run.service.is_connected)

        assert run.number("session_lost_total") == 1


async def test_mqtt_starts_before_its_broker(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    """HTTP works while the broker is away, and MQTT when it comes."""
    await anyio.to_thread.run_sync(own_mosquitto.stop)
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, own_mosquitto.start)
        async with running(tmp_path, Flaky(), broker=access) as run:
            await _publish(own_mosquitto, _reading(1))
            await until(lambda: run.number("messages_total") == 1)
