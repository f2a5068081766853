"""Subscriptions to a stream: every group from now on, until they end."""

import anyio
import pytest

from tests.support.stream_log import MemoryLog, change, write
from tidegate.errors import Misconfigured
from tidegate.store.model import Frame
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio


async def test_subscription_hears_every_group() -> None:
    """A subscription follows all groups of one stream from now on, each in order."""
    log = MemoryLog()
    hub = Hub(log)
    hub.publish(log.commit(change("before")))

    subscription = hub.subscribe("game")
    one, two, three = log.commit(change("a"), change("b"), change("c"))
    other = log.commit(change("x", group="h"), change(name="chat"))
    hub.publish([one, three, *other])
    hub.receive([two])
    heard = [await anext(subscription) for _ in range(4)]

    assert heard == [one, other[0], two, three]


async def test_subscription_ends() -> None:
    """After its end nothing comes; one that nobody refers to is not kept either."""
    log = MemoryLog()
    hub = Hub(log)
    subscription = hub.subscribe("game")
    write(log, hub, 1)

    subscription.close()
    left = [frame async for frame in subscription]
    for _ in range(3_000):
        hub.subscribe("game")

    assert left == []


async def test_subscriptions_without_an_end_are_refused() -> None:
    """The thousand-and-first subscription is an error that says what to do."""
    hub = Hub(MemoryLog())
    kept = [hub.subscribe(f"s{n}") for n in range(1_000)]

    with pytest.raises(Misconfigured, match="end those"):
        hub.subscribe("one more")
    kept[0].close()
    hub.subscribe("one more")


async def test_subscription_calls_a_function_and_outlives_its_errors() -> None:
    """A subscribed function that fails is called again for the next change."""
    log = MemoryLog()
    hub = Hub(log)
    seen: list[int] = []
    done = anyio.Event()

    async def fn(frame: Frame) -> None:
        seen.append(frame.seq)
        if frame.seq == 3:
            done.set()
        raise ValueError(frame.seq)

    subscription = hub.call("game", fn)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        write(log, hub, 3)
        with anyio.fail_after(5):
            await done.wait()
        subscription.close()
        write(log, hub, 3)
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()

    assert seen == [1, 2, 3]
