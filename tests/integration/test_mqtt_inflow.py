"""Messages of a real broker become events of mqtt steps: none is lost, memory is bounded."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest

from tests.support.broker_clients import Client
from tests.support.servers import Mosquitto
from tidegate.errors import NonRetriable, StoreAway
from tidegate.mqtt.access import Access
from tidegate.mqtt.session import MAX_WAITING, Session
from tidegate.mqtt.steps import AT_ONCE, Inflow, Inlet

pytestmark = pytest.mark.anyio
WAIT_S = 20


class Store:
    """Where messages become durable; can be away, slow or choosy."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.open = anyio.Event()
        self.open.set()
        self.asked = 0
        self.away = 0

    async def deliver(self, step: str, messages: Sequence[Any]) -> None:
        """See `Inflow`."""
        self.asked += 1
        await self.open.wait()
        if self.away:
            self.away -= 1
            raise StoreAway("gone")
        if any(message["payload"] == "poison" for message in messages):
            raise NonRetriable("too large")
        self.taken += messages

    @property
    def payloads(self) -> list[Any]:
        """What was taken, in order."""
        return [message["payload"] for message in self.taken]

    async def has(self, count: int) -> list[Any]:
        """Wait for so many messages; return their payloads."""
        with anyio.fail_after(WAIT_S):
            while len(self.taken) < count:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        return self.payloads


@asynccontextmanager
async def inflow(
    broker: Mosquitto, store: Store, name: str, *, instance: str = "a", qos: int = 1
) -> AsyncIterator[None]:
    """Take in the messages of one step while the context is open."""
    inlets = [Inlet(f"Step {name}", f"{name}/+/x", qos)]
    access = Access(broker.host, broker.port)
    running = Inflow(
        inlets, access, instance=f"{instance}-{name}", deliver=store.deliver, rng=Random(1)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running.run)
        yield
        tasks.cancel_scope.cancel()


async def subscribed(broker: Mosquitto, name: str, times: int = 1) -> None:
    """Wait until the broker has sent so many SUBACKs to a client."""
    with anyio.fail_after(WAIT_S):
        while broker.log.count(f"Sending SUBACK to tidegate-{name}") < times:  # noqa: ASYNC110
            await anyio.sleep(0.02)


def publish(broker: Mosquitto, name: str, *payloads: bytes | str, qos: int = 1) -> None:
    """Publish messages, and return when the broker has them."""
    with Client(broker.port) as peer:
        for payload in payloads:
            peer.publish(f"{name}/d/x", payload, qos=qos)


async def test_inflow_takes_messages_in_order(mosquitto: Mosquitto, unique_name: str) -> None:
    """A handler's input is the topic and the decoded payload."""
    store = Store()

    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}")
        publish(mosquitto, unique_name, b'{"n": 1}', b"on", b"\xff", *map(str, range(300)))
        payloads = await store.has(303)

    assert payloads == [{"n": 1}, "on", b"\xff", *range(300)]
    assert store.taken[0] == {
        "topic": f"{unique_name}/d/x", "payload": {"n": 1}, "qos": 1, "retain": False,
    }  # fmt: skip


async def test_inflow_gets_what_came_while_it_was_away(
    mosquitto: Mosquitto, unique_name: str
) -> None:
    """The broker keeps the messages of a process that is not running."""
    store = Store()
    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}")
    publish(mosquitto, unique_name, "1", "2")

    async with inflow(mosquitto, store, unique_name):
        payloads = await store.has(2)

    assert payloads == [1, 2]


async def test_inflow_acknowledges_only_what_is_durable(
    mosquitto: Mosquitto, unique_name: str
) -> None:
    """A process that ends while it stores gets the message again; one that has stored does not."""
    store = Store()
    store.open = anyio.Event()
    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}")
        publish(mosquitto, unique_name, "1")
        with anyio.fail_after(WAIT_S):
            while not store.asked:  # noqa: ASYNC110
                await anyio.sleep(0.02)
    before = store.payloads

    store.open.set()
    async with inflow(mosquitto, store, unique_name):
        again = await store.has(1)
    async with inflow(mosquitto, store, unique_name):
        publish(mosquitto, unique_name, "2")
        payloads = await store.has(2)

    assert (before, again, payloads) == ([], [1], [1, 2])


async def test_inflow_waits_for_a_store_that_is_away(
    mosquitto: Mosquitto, unique_name: str
) -> None:
    """While nothing can be stored the broker holds the messages."""
    store = Store()
    store.away = 2

    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}")
        publish(mosquitto, unique_name, "1", "2")
        payloads = await store.has(2)

    assert sorted(set(payloads)) == [1, 2]
    assert store.away == 0


async def test_inflow_outlives_the_broker(own_mosquitto: Mosquitto, unique_name: str) -> None:
    """After a broker's end it comes back, and goes on."""
    store = Store()

    async with inflow(own_mosquitto, store, unique_name):
        await subscribed(own_mosquitto, f"a-{unique_name}")
        publish(own_mosquitto, unique_name, "1")
        await store.has(1)
        own_mosquitto.kill()
        await anyio.sleep(0.2)
        own_mosquitto.start()
        await subscribed(own_mosquitto, f"a-{unique_name}", times=2)
        publish(own_mosquitto, unique_name, "2")
        payloads = await store.has(2)

    assert payloads[-1] == 2


async def test_inflow_is_shared_by_processes(mosquitto: Mosquitto, unique_name: str) -> None:
    """Two processes with the same step take each message once between them."""
    one, two = Store(), Store()
    async with (
        inflow(mosquitto, one, unique_name, instance="a"),
        inflow(mosquitto, two, unique_name, instance="b"),
    ):
        await subscribed(mosquitto, f"a-{unique_name}")
        await subscribed(mosquitto, f"b-{unique_name}")
        publish(mosquitto, unique_name, *map(str, range(100)))
        with anyio.fail_after(WAIT_S):
            while len(one.taken) + len(two.taken) < 100:  # noqa: ASYNC110
                await anyio.sleep(0.02)

    assert sorted(one.payloads + two.payloads) == list(range(100))
    assert min(len(one.taken), len(two.taken)) > 10


async def test_inflow_lets_no_message_hold_up_the_others(
    mosquitto: Mosquitto, unique_name: str
) -> None:
    """One that cannot be stored is refused alone, and does not come again."""
    store = Store()

    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}")
        publish(mosquitto, unique_name, "1", "poison", "2")
        payloads = await store.has(2)
    asked = store.asked
    async with inflow(mosquitto, store, unique_name):
        await subscribed(mosquitto, f"a-{unique_name}", times=2)
        await anyio.sleep(0.2)

    assert payloads == [1, 2]
    assert store.asked == asked


@pytest.mark.parametrize("qos", [0, 1])
async def test_session_reads_no_more_than_it_has_room_for(
    mosquitto: Mosquitto, unique_name: str, qos: int
) -> None:
    """A flood waits in the broker while nobody takes; then everything comes (QoS 1)."""
    access = Access(mosquitto.host, mosquitto.port)
    session = Session(
        access, client_id=unique_name, subscription=f"{unique_name}/#", qos=qos, keep_s=60
    )

    async with session.opened():
        await anyio.to_thread.run_sync(
            lambda: publish(mosquitto, unique_name, *[b"x" * 1_000] * 5_000, qos=qos)
        )
        await anyio.sleep(0.5)
        waiting = session.waiting
        taken = 0
        with anyio.move_on_after(WAIT_S if qos else 2):
            while taken < 5_000:
                messages = await session.take(AT_ONCE)
                session.acknowledge(messages)
                taken += len(messages)

    assert MAX_WAITING <= waiting < 2 * MAX_WAITING
    assert taken == 5_000 or (not qos and taken > MAX_WAITING)
