"""The relay on a real broker: hubs of several processes that share one log."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import anyio
import anyio.lowlevel
import pytest

from tests.support.servers import Mosquitto
from tests.support.stream_log import MemoryLog, change
from tidegate.mqtt.access import Access
from tidegate.mqtt.parcels import topic
from tidegate.mqtt.relay import Relay
from tidegate.store.model import Frame
from tidegate.streams.follower import Follower, Told
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio
WAIT_S = 10


class Process:
    """A hub with its relay, as one process has them."""

    def __init__(self, log: MemoryLog, broker: Mosquitto, realm: str) -> None:
        self.log = log
        self.hub = Hub(log, patience_s=60)
        self.relay = Relay(self.hub, Access(broker.host, broker.port), realm=realm, rng=Random(1))

    def write(self, count: int = 1) -> None:
        """Commit and publish some changes."""
        for n in range(count):
            self.hub.publish(self.log.commit(change(f"k{n}")))


@asynccontextmanager
async def joined(
    broker: Mosquitto, realm: str, *, heal: bool = True
) -> AsyncIterator[tuple[Process, Process]]:
    """Run two processes on one log, connected to the broker."""
    log = MemoryLog()
    pair = Process(log, broker, realm), Process(log, broker, realm)
    async with anyio.create_task_group() as tasks:
        for process in pair:
            tasks.start_soon(process.relay.run)
            if heal:
                tasks.start_soon(process.hub.run)
        await connected(pair)
        yield pair
        tasks.cancel_scope.cancel()


async def connected(pair: Sequence[Process]) -> None:
    """Wait until both are connected."""
    with anyio.fail_after(WAIT_S):
        while not all(process.relay.is_connected for process in pair):  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def _numbers(follower: Follower, count: int) -> list[int]:
    told: list[Told] = []
    with anyio.fail_after(WAIT_S):
        while len(told) < count:
            told.append(await anext(follower))
    return [each.seq for each in told]


async def test_relay_tells_other_processes(mosquitto: Mosquitto, unique_name: str) -> None:
    """Clients on either side see the writes of both, though no hub reads the log."""
    async with (
        joined(mosquitto, unique_name, heal=False) as (here, there),
        here.hub.join("game", "g") as one,
        there.hub.join("game", "g") as two,
    ):
        await _numbers(one, 1), await _numbers(two, 1)
        reads = here.log.reads
        # No more than a client may be behind: whoever is further behind reads the log, rightly.
        for _ in range(40):
            here.write(3)
            there.write(3)
            await anyio.lowlevel.checkpoint()
        seen = await _numbers(one, 240), await _numbers(two, 240)

    assert seen == (list(range(1, 241)),) * 2
    assert here.log.reads == reads


async def test_relay_outlives_the_broker(own_mosquitto: Mosquitto, unique_name: str) -> None:
    """While it is away clients are a second late; when it is back all is as before."""
    async with (
        joined(own_mosquitto, unique_name) as (here, there),
        there.hub.join("game", "g") as client,
    ):
        await _numbers(client, 1)
        own_mosquitto.kill()
        here.write(20)
        without = await _numbers(client, 20)
        own_mosquitto.start()
        await connected([here, there])
        here.write(20)
        again = await _numbers(client, 20)

    assert without + again == list(range(1, 41))


async def test_relay_separates_databases(mosquitto: Mosquitto, unique_name: str) -> None:
    """Numbers of another database on the same broker are not taken for ours."""
    async with (
        joined(mosquitto, unique_name, heal=False) as (here, _),
        joined(mosquitto, f"{unique_name}/x", heal=False) as (stranger, _),
        here.hub.join("game", "g") as client,
    ):
        await _numbers(client, 1)
        stranger.write(5)
        await anyio.sleep(0.3)
        here.write(1)
        told = await _numbers(client, 1)

    assert told == [1]


async def test_relay_ignores_what_it_cannot_read(
    mosquitto: Mosquitto, mosquitto_pub: str, unique_name: str
) -> None:
    """Anything that others publish on its topic changes nothing."""
    async with (
        joined(mosquitto, unique_name, heal=False) as (here, there),
        there.hub.join("game", "g") as client,
    ):
        await _numbers(client, 1)
        for payload in ("junk", "\u0093\u0002", "[" * 1_000):
            await _publish(mosquitto_pub, mosquitto.port, topic(unique_name), payload)
        here.write(2)
        told = await _numbers(client, 2)

    assert told == [1, 2]


async def test_relay_leaves_large_frames_to_the_log(mosquitto: Mosquitto, unique_name: str) -> None:
    """A value beyond 256 KiB does not travel, and is there within a second all the same."""
    async with (
        joined(mosquitto, unique_name) as (here, there),
        there.hub.join("game", "g") as client,
    ):
        await _numbers(client, 1)
        here.hub.publish(here.log.commit(change("big", b"x" * 300_000)))
        with anyio.fail_after(WAIT_S):
            told = await anext(client)

    assert isinstance(told, Frame)
    assert told.change.data == b"x" * 300_000


async def test_relay_without_a_broker_holds_little(free_port: int) -> None:
    """What cannot be sent is bounded: the oldest go."""
    hub = Hub(log := MemoryLog())
    relay = Relay(hub, Access("127.0.0.1", free_port), realm="r", rng=Random(1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay.run)
        hub.publish(log.commit(*(change() for _ in range(25_000))))
        await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()

    assert relay.waiting == 10_000


async def _publish(program: str, port: int, on: str, payload: str) -> None:
    await anyio.run_process(
        [program, "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", on, "-s"],
        input=payload.encode("latin-1"),
        stderr=subprocess.STDOUT,
    )
