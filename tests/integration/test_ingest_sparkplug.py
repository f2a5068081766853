"""Sparkplug nodes at a real broker, and we as their host application.

The assertions of the specification on host applications, by their `tck-id`, stand in the
docstrings of the tests that show them, here and in `tests/unit/test_wire_sparkplug_*.py`
and `tests/unit/test_ingest_sparkplug.py`. Knowingly not kept: `…-phid-sparkplug-clean-session-*`
(our session persists, so that deaths and what comes at QoS 1 wait for us).
"""

from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest

from cloud.app import check_settings
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Settings as PlatformSettings
from cloud.settings import Sparkplug
from tests.support.broker_clients import Client
from tests.support.ingestion import ALWAYS, Flaky, Running, running, until
from tests.support.servers import Mosquitto
from tests.support.sparkplug_node import TS_MS, EdgeNode
from tidegate.errors import Misconfigured
from wire.codecs.sparkplug import value_of
from wire.ids import DeviceKey, device_id, tenant_id
from wire.sparkplug.topics import Node

pytestmark = pytest.mark.anyio

_EDGE = DeviceKey(tenant_id("plant"), device_id("edge"))
_PUMP = DeviceKey(tenant_id("plant"), device_id("edge:pump"))
_STATE = "spBv1.0/STATE/scada"
_SETTINGS = Settings(
    batch_wait_s=0.02,
    sparkplug=Sparkplug(
        enabled=True, host_id="scada", reorder_timeout_s=0.2, rebirth_interval_s=0.5
    ),
)


@pytest.fixture(params=[True, False], ids=["mqtt5", "mqtt311"])
def access(request: pytest.FixtureRequest, own_mosquitto: Mosquitto) -> BrokerAccess:
    """Return how to reach the broker, in both versions of the protocol."""
    return BrokerAccess(own_mosquitto.host, own_mosquitto.port, mqtt5=request.param)


def test_sparkplug_host_id_is_checked_before_anything_starts() -> None:
    """It is one level of a topic; with a slash in it no node would find us."""
    settings = PlatformSettings(ingest=Settings(sparkplug=Sparkplug(host_id="a/b")))

    with pytest.raises(Misconfigured, match=r"ingest\.sparkplug host_id"):
        check_settings(settings)


def _online(run: Running) -> tuple[bool | None, bool | None]:
    return run.presence.of(_EDGE).online, run.presence.of(_PUMP).online


async def _temps(run: Running, device: DeviceKey) -> list[object]:
    found = [
        series.points
        for series in await run.store.read(ALWAYS)
        if series.key[:2] == device and series.key.metric == "temp"
    ]
    return [value for points in found for _, value in points]


async def _state(client: Client) -> tuple[bool, int]:
    (message,) = await anyio.to_thread.run_sync(lambda: client.received(1))
    state = msgspec.json.decode(message)
    assert set(state) == {"online", "timestamp"}
    return state["online"], state["timestamp"]


async def test_sparkplug_node_is_followed(access: BrokerAccess, tmp_path: Path) -> None:
    """Births and data of node and device are stored, by alias; the will takes both offline.

    `tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-offline` and
    `-ndeath-devices-offline`.
    """
    async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
        with EdgeNode(access.port, devices=("pump",)) as node:
            node.data(1.0)
            node.data(2.0, "pump")
            await until(lambda: run.number("readings_total", fate="stored") == 7)
            there = _online(run)
            node.kill()
            await until(lambda: _online(run) == (False, False))

        assert there == (True, True)
        assert await _temps(run, _EDGE) == [0.0, 1.0]
        assert await _temps(run, _PUMP) == [0.0, 2.0]
        assert ("count", TS_MS, -1.0) in await run.points()
        assert await run.ledger.dead_letters() == []
        assert run.number("rebirths_total") == 0


async def test_sparkplug_gap_makes_the_node_be_born_again(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """What came is stored; the node sees the request, answers it, and all is well.

    `tck-id-operational-behavior-host-reordering-rebirth`,
    `tck-id-operational-behavior-data-commands-ncmd-rebirth-verb`, `-name`, `-value`.
    """
    async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
        with EdgeNode(access.port) as node:
            node.data(1.0)
            node.lose()
            node.data(3.0)
            request = await anyio.to_thread.run_sync(node.request)
            await until(lambda: run.number("readings_total", fate="stored") == 8)
            node.data(4.0)
            await until(lambda: run.number("readings_total", fate="stored") == 9)

            (metric,) = request.metrics
            assert (metric.name, value_of(metric, 11)) == ("Node Control/Rebirth", True)
            assert request.seq is None
            assert await _temps(run, _EDGE) == [0.0, 1.0, 3.0, 0.0, 4.0]
            assert run.number("sparkplug_lost_total") == 1
            await anyio.sleep(0.7)
            assert run.number("rebirths_total") == 1


async def test_sparkplug_births_survive_a_restart(access: BrokerAccess, tmp_path: Path) -> None:
    """Data is read with the births of the run before, and deaths are remembered."""
    store = Flaky()
    with EdgeNode(access.port, devices=("pump",)) as node:
        async with running(tmp_path, store, broker=access, settings=_SETTINGS) as run:
            node.births()
            node.device_death("pump")
            await until(lambda: _online(run) == (True, False))
        async with running(tmp_path, store, broker=access, settings=_SETTINGS) as run:
            restored = _online(run)
            node.data(5.0)
            await until(lambda: run.number("readings_total", fate="stored") == 1)

            assert restored == (None, False)
            assert (await _temps(run, _EDGE))[-1] == 5.0
            assert run.number("rebirths_total") == 0


async def test_sparkplug_births_are_forgotten_with_their_device(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """A deleted device is nobody who has died; of a deleted tenant no session is left."""
    node_name = Node(_EDGE.tenant, _EDGE.device)
    with EdgeNode(access.port, devices=("pump",)) as node:
        async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
            node.births()
            node.device_death("pump")
            await until(lambda: _online(run) == (True, False))
            await run.ledger.forget_births(*_PUMP)
        async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
            restored, kept = _online(run), run.ledger.session_of(node_name)
            await run.ledger.forget_births(_EDGE.tenant)

            assert restored == (None, None)
            assert list(kept.births) == [None]
            assert run.ledger.session_of(node_name).births == {}


async def test_sparkplug_what_is_lost_while_we_are_down_is_noticed(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """A broker keeps nothing of QoS 0 for us: the first message after a restart shows the gap."""
    store = Flaky()
    with EdgeNode(access.port) as node:
        async with running(tmp_path, store, broker=access, settings=_SETTINGS) as run:
            node.births()
            await until(lambda: run.number("readings_total", fate="stored") == 3)
        node.data(1.0)
        node.data(2.0, qos=1)
        async with running(tmp_path, store, broker=access, settings=_SETTINGS) as run:
            await anyio.to_thread.run_sync(node.request)
            await until(lambda: run.number("readings_total", fate="stored") == 4)

            assert await _temps(run, _EDGE) == [0.0, 2.0, 0.0]
            assert run.number("sparkplug_lost_total") == 1


async def test_sparkplug_data_before_its_birth_is_replayed_after_it(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """A letter until the node has answered; then its values have their names."""
    with EdgeNode(access.port, devices=("pump",)) as node:
        await anyio.sleep(0.1)  # nobody listens to these births
        async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
            node.data(7.0)
            node.data(8.0, "pump")
            await anyio.to_thread.run_sync(node.request)
            await until(lambda: _online(run) == (True, True))
            letters = await run.ledger.dead_letters()
            for letter in letters:
                await run.service.replaying.replay_letter(str(letter.id))

            assert len(letters) == 2
            assert await run.ledger.dead_letters() == []
            assert await _temps(run, _EDGE) == [7.0, 0.0]
            assert await _temps(run, _PUMP) == [8.0, 0.0]
            assert run.ledger.totals().dead == 0


async def test_sparkplug_late_will_of_an_old_connection_is_ignored(
    access: BrokerAccess, own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The node is back already when the broker finds out that it had been gone (`bdSeq`)."""
    async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
        old = EdgeNode(own_mosquitto.port, bd_seq=0)
        with old:
            await until(lambda: run.presence.of(_EDGE).online is True)
            with EdgeNode(own_mosquitto.port, bd_seq=1) as new:
                # Its birth tells the values of the one before, of the same time.
                await until(lambda: run.number("readings_total", fate="duplicate") == 3)
                messages = run.number("messages_total")
                old.kill()
                await until(lambda: run.number("messages_total") == messages + 1)
                still = run.presence.of(_EDGE).online
                new.kill()
                await until(lambda: run.presence.of(_EDGE).online is False)

        assert still is True


async def test_sparkplug_host_says_whether_it_is_there(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """Retained: online when we listen, offline when we leave, the will when we are thrown out.

    `tck-id-host-topic-phid-birth-payload`, `-birth-payload-timestamp` (as of the will),
    `-birth-retain`, `-birth-topic`, `-birth-sub-required`, `-death-payload`, `-death-retain`,
    `-death-payload-timestamp-disconnect-clean`,
    `tck-id-operational-behavior-host-application-connect-will`, `-connect-birth`, `-termination`.
    """
    with Client(access.port) as watcher:
        watcher.subscribe(_STATE)
        async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS):
            first = await _state(watcher)
            with Client(access.port, client_id=access.client_id):  # ends our connection
                will, back = await _state(watcher), await _state(watcher)
        while (left := await _state(watcher))[0]:
            pass  # said again: the session brought us our own will
        with Client(access.port) as later:
            later.subscribe(_STATE)
            retained = await _state(later)

    assert [online for online, _ in (first, will, back, left)] == [True, False, True, False]
    assert first[1] == will[1] < back[1] <= left[1]
    assert retained == left


async def test_sparkplug_host_contradicts_who_says_that_it_is_gone(
    access: BrokerAccess, tmp_path: Path
) -> None:
    """`tck-id-message-flow-hid-sparkplug-state-message-delivered`: with the same timestamp."""
    with Client(access.port) as watcher:
        watcher.subscribe(_STATE)
        async with running(tmp_path, Flaky(), broker=access, settings=_SETTINGS) as run:
            first = await _state(watcher)
            watcher.publish(_STATE, b'{"online":false,"timestamp":1}', retain=True)
            lie, truth = await _state(watcher), await _state(watcher)

            assert lie == (False, 1)
            assert truth == first
            assert await run.ledger.dead_letters() == []
