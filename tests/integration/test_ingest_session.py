"""The session at a real broker: what is lost is told, what is not wanted is left, who fights."""

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Topic
from tests.support.ingestion import Flaky, Running, running, until
from tests.support.proxy import Proxy
from tests.support.server_process import required
from tests.support.servers import Mosquitto, NarrowBroker, mosquitto_program

pytestmark = pytest.mark.anyio

_TOPIC = "t/acme/pump/telemetry"


@pytest.fixture(params=[True, False], ids=["mqtt5", "mqtt311"])
def access(request: pytest.FixtureRequest, own_mosquitto: Mosquitto) -> BrokerAccess:
    """Return how to reach the broker, in both versions of the protocol."""
    return BrokerAccess(own_mosquitto.host, own_mosquitto.port, mqtt5=request.param)


def _reading(seq: int) -> bytes:
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": {"t": 1.0}})


async def _publish(port: int, *payloads: bytes, topic: str = _TOPIC) -> None:
    messages = [{"topic": topic, "payload": payload, "qos": 1} for payload in payloads]
    await anyio.to_thread.run_sync(
        lambda: publish.multiple(messages, hostname="127.0.0.1", port=port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says
    )


async def test_session_lost_is_told(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A broker that forgot us is an event, not only a counter: an alert hangs on it."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    async with running(tmp_path, Flaky(), broker=access) as run:
        await anyio.to_thread.run_sync(own_mosquitto.kill)
        for file in own_mosquitto.folder.glob("*.db"):
            file.unlink()
        await until(lambda: not run.service.is_connected)
        await anyio.to_thread.run_sync(own_mosquitto.start)
        await until(lambda: bool(run.losses))

        assert [(loss.cause, loss.messages) for loss in run.losses] == [("session_lost", None)]
        assert run.number("session_lost_total") == 1


async def test_session_tells_what_the_broker_dropped(tmp_path: Path) -> None:
    """A full queue is silent for whoever publishes; its count is told, also when we were down."""
    program = required(mosquitto_program(), package="mosquitto")
    with NarrowBroker(program, folder=tmp_path / "narrow") as broker:
        access, store = BrokerAccess(broker.host, broker.port), Flaky()
        async with running(tmp_path, store, broker=access) as run:
            await _until_fact(run, f"broker_dropped {_name(access)}", lambda fact: fact != "")
            assert run.losses == []
        await _publish(broker.port, *map(_reading, range(1, 101)))

        async with running(tmp_path, store, broker=access) as run:
            await until(lambda: bool(run.losses))
            await until(lambda: store.written >= 10)
            dropped = sum(loss.messages or 0 for loss in run.losses)

            assert {loss.cause for loss in run.losses} == {"broker_dropped"}
            assert dropped + store.written == 100
            assert run.number("foreign_messages_total") == 0


async def _until_fact(run: Running, name: str, holds: Callable[[str], bool]) -> None:
    with anyio.fail_after(5):
        while not holds(await run.ledger.fact(name) or ""):  # noqa: ASYNC110 - in a file
            await anyio.sleep(0.02)


def _name(access: BrokerAccess) -> str:
    return f"{access.client_id}@{access.host}:{access.port}"


async def test_session_leaves_filters_of_an_earlier_configuration(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """The broker remembers what we subscribed to; what was taken out of the settings ends."""
    store = Flaky()
    old = Settings(
        batch_wait_s=0.02, topics=[Topic("old/{device}", format="tidegate", tenant="acme")]
    )
    new = Settings(
        batch_wait_s=0.02, topics=[Topic("new/{device}", format="tidegate", tenant="acme")]
    )
    async with running(tmp_path, store, broker=access, settings=old):
        await _publish(own_mosquitto.port, _reading(1), topic="old/pump")
        await until(lambda: store.written == 1)

    async with running(tmp_path, store, broker=access, settings=new) as run:
        kept = f"mqtt_filters {_name(access)}"
        await _until_fact(run, kept, lambda fact: "old/+" not in fact)
        await _publish(own_mosquitto.port, _reading(2), topic="old/pump")
        await _publish(own_mosquitto.port, _reading(3), topic="new/pump")
        await until(lambda: store.written == 2)

        assert run.number("foreign_messages_total") == 0
        assert run.number("session_lost_total") == 0


async def _accept_and_take_over(stream: anyio.abc.SocketStream) -> None:
    """Be a broker that accepts, says that another client has the session now, and hangs up."""
    async with stream:
        await stream.receive()
        await stream.send(b"\x20\x03\x01\x00\x00")
        subscribe = await stream.receive()
        await stream.send(b"\x90\x06" + subscribe[2:4] + b"\x00\x01\x01\x00")
        await anyio.sleep(0.5)
        await stream.send(b"\xe0\x02\x8e\x00")


async def test_session_taken_over_is_counted_and_left_alone(tmp_path: Path) -> None:
    """Who has our client id keeps the session for now: we come back after 15 to 30 seconds."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, _accept_and_take_over)
        access = BrokerAccess("127.0.0.1", listener.extra(anyio.abc.SocketAttribute.local_port))
        async with running(tmp_path, Flaky(), broker=access) as run:
            await until(lambda: run.number("session_taken_over_total") == 1)
            await anyio.sleep(1)

            assert not run.service.is_connected
            assert run.number("reconnects_total") == 0
        tasks.cancel_scope.cancel()


async def test_session_of_two_with_one_client_id_is_no_fight(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Where the broker does not say why it hangs up, two doubles slow down all the same."""
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        running(tmp_path / "one", Flaky(), broker=access) as one,
        running(tmp_path / "two", Flaky(), broker=access) as two,
    ):
        await anyio.sleep(4)

        fought = one.number("reconnects_total") + two.number("reconnects_total")
        assert 1 <= fought < 20


async def test_session_half_open_connection_is_noticed(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """When nothing of the broker arrives any more, the keep-alive ends it and we come again."""
    store = Flaky()
    async with Proxy(own_mosquitto.port) as proxy:
        access = BrokerAccess("127.0.0.1", proxy.port, keepalive_s=1)
        async with running(tmp_path, store, broker=access) as run:
            proxy.to_client.swallows = True
            await _publish(own_mosquitto.port, *map(_reading, range(1, 11)))
            await until(lambda: not run.service.is_connected)
            proxy.heal()
            await until(lambda: store.written == 10 and run.service.gateway.held == 0)

            view = run.ledger.totals()
            assert (view.stored, view.duplicate) == (10, 0)


async def test_session_broker_that_accepts_and_is_silent_is_left(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """A connection without an answer to its greeting is given up, and another one tried."""
    async with Proxy(own_mosquitto.port) as proxy:
        proxy.to_client.swallows = True
        access = BrokerAccess("127.0.0.1", proxy.port, greeting_timeout_s=0.5)

        async def heal() -> None:
            await until(lambda: proxy.accepted >= 2)
            proxy.heal()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heal)
            async with running(tmp_path, Flaky(), broker=access) as run:
                assert run.service.is_connected


async def test_session_idle_broker_restart_is_recovered(
    own_mosquitto: Mosquitto, access: BrokerAccess, tmp_path: Path
) -> None:
    """Restarted while nothing flowed, three times: what is published afterwards arrives."""
    store = Flaky()
    async with running(tmp_path, store, broker=access) as run:
        for round_ in range(1, 4):
            await anyio.to_thread.run_sync(own_mosquitto.stop)
            await anyio.to_thread.run_sync(own_mosquitto.start)
            await until(lambda round_=round_: run.number("reconnects_total") == round_)  # type: ignore[misc]  # a default is no argument
            await _publish(own_mosquitto.port, _reading(round_))

        await until(lambda: store.written == 3)
        assert run.losses == []
