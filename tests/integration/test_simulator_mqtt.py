"""Fleet and replay against a real broker."""

import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import aiomqtt
import anyio
import msgspec
import pytest

from devices.simulator.accounts import Account, anonymous_logins
from devices.simulator.errors import NotDelivered
from devices.simulator.faults import SLOT_MS, Fault, FaultyDevice
from devices.simulator.fleet import FleetCounts, FleetOptions, run_fleet
from devices.simulator.link import Login, Target
from devices.simulator.recorded import read_rows
from devices.simulator.recording import write_recording
from devices.simulator.replay import ReplayOptions, replay
from devices.simulator.signals import Device
from tests.support.decoding import decoded_json
from tests.support.ports import unused_port, wait_for_port
from tests.support.server_process import required
from tests.support.servers import Mosquitto, SilentBroker, mosquitto_program
from wire.codecs.json import decode_status
from wire.ids import DeviceId, DeviceKey, MetricName, TenantId
from wire.messages import Reading
from wire.topics import parse_topic

pytestmark = pytest.mark.anyio


_AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
async def main():
    await Broker({
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }).start()
    await asyncio.sleep(30)
asyncio.run(main())
"""


class _Closed(Mosquitto):
    """A broker that lets nobody in."""

    def _conf(self) -> str:
        return super()._conf().replace("allow_anonymous true", "allow_anonymous false")


@asynccontextmanager
async def _subscribed(
    broker: Mosquitto, topics: str, *, session: str | None = None
) -> AsyncIterator[aiomqtt.Client]:
    """Subscribe; what comes between two visits of the same `session` is kept by the broker."""
    clean = session is None
    async with aiomqtt.Client(
        broker.host, broker.port, identifier=session, clean_session=clean
    ) as client:
        await client.subscribe(topics, qos=1)
        yield client


async def _readings(client: aiomqtt.Client, *, until: int) -> dict[str, list[Reading]]:
    """Gather readings by device until there are so many in all."""
    found: dict[str, list[Reading]] = defaultdict(list)
    with anyio.fail_after(15):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            decoded = decoded_json(message.payload)
            assert not decoded.refused
            found[parse_topic(str(message.topic)).device.device] += decoded.readings
            if sum(map(len, found.values())) >= until:
                break
    return found


def _target(broker: Mosquitto, **options: bool) -> Target:
    return Target(host=broker.host, port=broker.port, timeout_s=3, **options)


def _login(tenant: str) -> Login:
    return Login(DeviceKey(TenantId(tenant), DeviceId("recorder")))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_fleet_publishes_contiguous_sequences(
    mosquitto: Mosquitto, unique_name: str, version: str
) -> None:
    """Every device of a fleet is decodable, numbered from 1 without a hole."""
    logins = anonymous_logins(5, unique_name)
    async with (
        _subscribed(mosquitto, f"t/{unique_name}/+/telemetry") as client,
        anyio.create_task_group() as group,
    ):
        options = FleetOptions(interval_s=0.05)
        group.start_soon(run_fleet, logins, _target(mosquitto, mqtt5=version == "5"), options)
        found = await _readings(client, until=50)
        group.cancel_scope.cancel()

    assert set(found) == {login.device.device for login in logins}
    for readings in found.values():
        assert [reading.seq for reading in readings] == list(range(1, len(readings) + 1))
        assert len({reading.boot for reading in readings}) == 1


async def test_stopped_fleet_says_goodbye(mosquitto: Mosquitto, unique_name: str) -> None:
    """Birth and goodbye are retained: after a stop every device is offline."""
    counts = FleetCounts()
    async with anyio.create_task_group() as group:
        group.start_soon(_run_counted, unique_name, mosquitto, counts)
        with anyio.fail_after(10):
            while counts.delivered < 3:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()

    async with _subscribed(mosquitto, f"t/{unique_name}/+/status") as client:
        with anyio.fail_after(5):
            statuses = [await anext(client.messages) for _ in range(3)]
    assert {decode_status(_bytes(one)).state for one in statuses} == {"offline"}


async def test_fleet_comes_back_after_the_broker_did(
    own_mosquitto: Mosquitto, unique_name: str
) -> None:
    """Readings made while the broker is away are delivered when it returns: none is missing."""
    topics = f"t/{unique_name}/+/telemetry"
    with _child(own_mosquitto, unique_name, ["pump-01"]):
        async with _subscribed(own_mosquitto, topics, session=unique_name) as client:
            before = (await _readings(client, until=6))["pump-01"]
        await anyio.to_thread.run_sync(own_mosquitto.stop)
        await anyio.sleep(0.3)
        await anyio.to_thread.run_sync(own_mosquitto.start)
        async with _subscribed(own_mosquitto, topics, session=unique_name) as client:
            after = (await _readings(client, until=40))["pump-01"]

    seqs = {reading.seq for reading in before + after}
    assert seqs == set(range(1, len(seqs) + 1))
    assert {reading.boot for reading in before + after} == {before[0].boot}


async def test_faults_are_written_down(
    mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """The ground truth of a faulty fleet is one JSON object a line, each fault once."""
    truth, slot_ms = tmp_path / "truth.jsonl", 2_000_000 * SLOT_MS
    options = FleetOptions(seed=7, interval_s=0.05, faults=1.0, truth=truth)
    logins = anonymous_logins(3, unique_name)
    with anyio.move_on_after(0.5):
        await run_fleet(logins, _target(mosquitto), options, clock_ms=lambda: slot_ms)

    told = [msgspec.json.decode(line, type=Fault) for line in truth.read_bytes().splitlines()]
    devices = [
        FaultyDevice(Device(login.device.device, 7), 1.0, interval_ms=50) for login in logins
    ]
    assert told == [device.fault_at(slot_ms) for device in devices]


async def test_replay_delivers_every_row_in_order(
    mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """As fast as possible: all rows, in order, the last one at now."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=1234)
    options = ReplayOptions(metric=MetricName("flow"), speed=0)

    async with _subscribed(mosquitto, f"t/{unique_name}/+/telemetry") as client:
        sent = await replay(path, _target(mosquitto), _login(unique_name), options)
        found = (await _readings(client, until=1234))["recorder"]

    rows = list(read_rows(path))
    assert sent == len(found) == 1234
    assert [reading.seq for reading in found] == list(range(1, 1235))
    assert [reading.values[MetricName("flow")] for reading in found] == [row.value for row in rows]
    shifts = {(found[at].ts_ms or 0) - rows[at].ts_ms for at in range(1234)}
    assert len(shifts) == 1


async def test_replay_keeps_the_chosen_speed(
    mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """60 rows at 1 s take a second at speed 60, and original times stay when asked for."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=61)
    began = anyio.current_time()

    async with _subscribed(mosquitto, f"t/{unique_name}/+/telemetry") as client:
        options = ReplayOptions(speed=60, to_now=False)
        await replay(path, _target(mosquitto), _login(unique_name), options)
        took_s = anyio.current_time() - began
        found = (await _readings(client, until=61))["recorder"]

    assert 1.0 <= took_s < 3.0
    assert [reading.ts_ms for reading in found] == [row.ts_ms for row in read_rows(path)]


async def test_replay_gives_up_without_a_broker(tmp_path: Path) -> None:
    """Nobody listening is an error that says what to look at, not an endless wait."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=3)
    options = ReplayOptions(speed=0, patience_s=0.5)

    with pytest.raises(NotDelivered, match="is the broker running"):
        await replay(path, Target(port=unused_port()), _login("a"), options)


async def test_replay_tells_of_a_refused_account(tmp_path: Path) -> None:
    """A wrong password ends at once: waiting would not help."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=3)
    program = required(mosquitto_program(), package="mosquitto")
    login = Login(_login("a").device, "a/recorder", "wrong")

    with _Closed(program, folder=tmp_path / "mosquitto") as broker:
        for target in (_target(broker, mqtt5=True), _target(broker, mqtt5=False)):
            with pytest.raises(NotDelivered, match="check its username and password"):
                await replay(path, target, login, ReplayOptions(speed=0))


async def test_replay_tells_of_a_refused_message(tmp_path: Path, unique_name: str) -> None:
    """A PUBACK that says no is no delivery: the replay ends at once and names the topic."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=3)
    program = required(mosquitto_program(), package="mosquitto")

    with SilentBroker(program, folder=tmp_path / "mosquitto") as broker:
        with pytest.raises(NotDelivered, match=f"t/{unique_name}/recorder/telemetry .Not auth"):
            await replay(path, _target(broker), _login(unique_name), ReplayOptions(speed=0))

        async with _subscribed(broker, f"t/{unique_name}/+/status") as client:
            with anyio.fail_after(5):
                status = decode_status(_bytes(await anext(client.messages)))
    assert status.state == "offline"


async def test_fleet_keeps_trying_when_it_is_refused(
    tmp_path: Path, unique_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused device says so once, keeps its readings and does not end."""
    counts, program = FleetCounts(), required(mosquitto_program(), package="mosquitto")

    with SilentBroker(program, folder=tmp_path / "mosquitto") as broker:
        with anyio.move_on_after(2) as scope:
            await run_fleet(
                anonymous_logins(1, unique_name),
                _target(broker),
                FleetOptions(interval_s=0.05),
                counts=counts,
            )
        connects = broker.log.count("New client connected")

    assert scope.cancelled_caught
    assert counts.delivered == 0
    assert connects > 1
    said = [record.message for record in caplog.records if record.name.startswith("devices")]
    assert len(said) == 1
    assert "mqtt.refused" in said[0]


async def test_broker_that_only_speaks_3_1_1_is_served_so(
    free_port: int, unique_name: str, tmp_path: Path
) -> None:
    """The embedded broker knows no MQTT 5: the link notices and goes on with 3.1.1."""
    path = tmp_path / "recorded.csv"
    write_recording(path, seed=7, points=3)
    # In a process of its own, because amqtt leaves a refused connection unclosed.
    command = [sys.executable, "-c", _AMQTT, str(free_port)]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        await anyio.to_thread.run_sync(partial(wait_for_port, free_port, timeout_s=10))
        target = Target(port=free_port, timeout_s=1)
        sent = await replay(path, target, _login(unique_name), ReplayOptions(speed=0))
        process.kill()

    assert sent == 3


def test_child_process_ends_at_sigterm(mosquitto: Mosquitto, unique_name: str) -> None:
    """The fleet of `tidegate up` stops within 3 s, with exit code 0."""
    with _child(mosquitto, unique_name, ["pump-01", "rack-02"]) as process:
        anyio.run(_heard_from, mosquitto, unique_name)

        process.send_signal(signal.SIGTERM)

        assert process.wait(3) == 0


@contextmanager
def _child(
    broker: Mosquitto, tenant: str, devices: list[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python -m devices.simulator` as `tidegate up` does."""
    accounts = [Account(tenant, name, f"{tenant}/{name}", "any") for name in devices]
    command = [sys.executable, "-m", "devices.simulator", "--port", str(broker.port)]
    with subprocess.Popen([*command, "--interval", "0.05"], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(msgspec.json.encode(accounts))
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()


async def _heard_from(broker: Mosquitto, tenant: str) -> None:
    async with _subscribed(broker, f"t/{tenant}/+/telemetry") as client:
        await _readings(client, until=6)


async def _run_counted(tenant: str, broker: Mosquitto, counts: FleetCounts) -> None:
    options = FleetOptions(interval_s=0.05)
    await run_fleet(anonymous_logins(3, tenant), _target(broker), options, counts=counts)


def _bytes(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload
