"""The hub: a client sees a snapshot and every change after it, once, whatever happens."""

from collections.abc import Sequence

import anyio
import pytest

from tests.support.stream_log import MemoryLog, change, write
from tidegate.errors import StoreAway
from tidegate.store.model import Frame, StreamSnapshot
from tidegate.streams.follower import Follower, Told
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio


async def _told(follower: Follower) -> list[Told]:
    """Return what the follower is told now, without waiting for more."""
    told: list[Told] = []
    with anyio.move_on_after(0):
        async for item in follower:
            told.append(item)  # noqa: PERF401 - a cancelled comprehension loses what it has
    return told


def _numbers(told: Sequence[Told]) -> list[str]:
    return [f"{'snapshot ' if isinstance(t, StreamSnapshot) else ''}{t.seq}" for t in told]


async def test_hub_client_gets_the_snapshot_first() -> None:
    """Values that are there come as one snapshot, later changes one by one."""
    log = MemoryLog()
    hub = Hub(log)
    write(log, hub, 2)

    async with hub.join("game", "g") as follower:
        first = await _told(follower)
        write(log, hub, 2)
        later = await _told(follower)

    assert first == [StreamSnapshot(2, [("k0", b"v"), ("k1", b"v")])]
    assert _numbers(later) == ["3", "4"]


async def test_hub_keeps_groups_and_streams_apart() -> None:
    """A client hears nothing of another group or stream."""
    log = MemoryLog()
    hub = Hub(log)

    async with hub.join("game", "g") as follower:
        await _told(follower)
        hub.publish(log.commit(change(group="other"), change(name="chat"), change("mine")))
        told = await _told(follower)

    assert [t.change.id for t in told if isinstance(t, Frame)] == ["mine"]


async def test_hub_orders_what_comes_out_of_order() -> None:
    """Frames that come early, late or twice are told once and in order, without the log."""
    log = MemoryLog()
    hub = Hub(log)

    async with hub.join("game", "g") as follower:
        await _told(follower)
        reads = log.reads
        one, two, three = log.commit(change("a"), change("b"), change("c"))
        hub.receive([three, two])
        early = await _told(follower)
        hub.receive([two, one, one, three])
        told = await _told(follower)

    assert early == []
    assert told == [one, two, three]
    assert log.reads == reads


async def test_hub_fills_a_gap_from_the_log() -> None:
    """A frame that never comes is read when the next one shows that it is missing."""
    log = MemoryLog()
    hub = Hub(log)

    async with anyio.create_task_group() as tasks, hub.join("game", "g") as follower:
        await _told(follower)
        tasks.start_soon(hub.run)
        frames = log.commit(change("a"), change("b"), change("c"))
        hub.receive(frames[2:])
        with anyio.fail_after(5):
            told = [await anext(follower) for _ in range(3)]
        tasks.cancel_scope.cancel()

    assert told == frames


async def test_hub_needs_no_message_from_other_processes() -> None:
    """Changes of which nobody tells us are found by comparing numbers."""
    log = MemoryLog()
    hub = Hub(log)

    async with anyio.create_task_group() as tasks, hub.join("game", "g") as follower:
        await _told(follower)
        tasks.start_soon(hub.run)
        frames = log.commit(change("a"), change("b"))
        with anyio.fail_after(5):
            told = [await anext(follower) for _ in range(2)]
        tasks.cancel_scope.cancel()

    assert told == frames


async def test_hub_resumes_after_a_number() -> None:
    """A client that comes back with its number gets what it has missed, and no snapshot."""
    log = MemoryLog()
    hub = Hub(log)
    write(log, hub, 200)

    async with hub.join("game", "g", after=3) as follower:
        told = await _told(follower)
        write(log, hub, 1)
        told += await _told(follower)

    assert _numbers(told) == [str(n) for n in range(4, 202)]


@pytest.mark.parametrize("after", [-1, 0, 9, 10**30])
async def test_hub_gives_a_snapshot_for_a_number_it_cannot_go_on_from(after: int) -> None:
    """A number that is too old or was never given out gets a fresh snapshot."""
    log = MemoryLog(keep=2)
    hub = Hub(log)
    write(log, hub, 5)

    async with hub.join("game", "g", after=after) as follower:
        told = await _told(follower)

    assert _numbers(told) == ["snapshot 5"]


async def test_hub_gives_a_snapshot_for_a_number_beyond_what_others_have() -> None:
    """A made-up number is noticed also where the last one is known already."""
    log = MemoryLog()
    hub = Hub(log)
    write(log, hub, 5)

    async with hub.join("game", "g") as other, hub.join("game", "g", after=9) as follower:
        await _told(other)
        told = await _told(follower)

    assert _numbers(told) == ["snapshot 5"]


async def test_hub_finds_silent_changes_for_a_client_that_came_back() -> None:
    """Who went on after a number hears of changes that nobody tells us of."""
    log = MemoryLog()
    hub = Hub(log)
    write(log, hub, 5)

    async with hub.join("game", "g", after=3) as follower:
        told = await _told(follower)
        log.commit(change("silent"))
        await hub.compare()
        told += await _told(follower)

    assert _numbers(told) == ["4", "5", "6"]


async def test_hub_gives_a_snapshot_when_the_log_withholds_changes() -> None:
    """A log that has a later number, but no change to show, is not asked for ever."""
    log = MemoryLog(keep=0)
    log.withholds = True
    hub = Hub(log)
    write(log, hub, 5)

    async with hub.join("game", "g", after=3) as follower:
        told = await _told(follower)

    assert _numbers(told) == ["snapshot 5"]


async def test_hub_resumes_an_empty_group_without_a_snapshot() -> None:
    """Who has seen that there is nothing hears of the first change only."""
    log = MemoryLog()
    hub = Hub(log)

    async with hub.join("game", "g", after=0) as follower:
        nothing = await _told(follower)
        write(log, hub, 1)
        told = await _told(follower)

    assert (nothing, _numbers(told)) == ([], ["1"])


async def test_hub_drops_a_slow_client_to_a_fresh_snapshot() -> None:
    """More changes than the queue holds cost a client their details, not the result."""
    log = MemoryLog()
    hub = Hub(log, queue=256, patience_s=0)

    async with hub.join("game", "g") as slow, hub.join("game", "g") as fast:
        await _told(slow), await _told(fast)
        write(log, hub, 256)
        in_time = await _told(fast)
        write(log, hub, 1)
        late = await _told(slow)
        in_time += await _told(fast)

    assert _numbers(late) == ["snapshot 257"]
    assert _numbers(in_time) == [str(n) for n in range(1, 258)]


async def test_hub_forgives_a_burst() -> None:
    """A client that has only just had everything reads a burst of many changes from the log."""
    log = MemoryLog()
    hub = Hub(log, queue=256, patience_s=60)

    async with hub.join("game", "g") as follower:
        await _told(follower)
        write(log, hub, 10_000)
        told = await _told(follower)

    assert _numbers(told) == [str(n) for n in range(1, 10_001)]


@pytest.mark.parametrize("kept", [True, False])
async def test_hub_survives_a_hole_longer_than_the_log(kept: bool) -> None:  # noqa: FBT001
    """When the missing frames are not kept any more the client gets a fresh snapshot."""
    log = MemoryLog(keep=1_000 if kept else 3)
    hub = Hub(log)

    async with hub.join("game", "g") as follower:
        await _told(follower)
        hub.receive(log.commit(*(change(f"k{n}") for n in range(20)))[-1:])
        await hub.compare()
        told = await _told(follower)

    assert _numbers(told) == ([str(n) for n in range(1, 21)] if kept else ["snapshot 20"])


async def test_hub_notices_a_database_that_went_back() -> None:
    """Numbers that begin anew do not leave a client without news for ever."""
    log = MemoryLog()
    hub = Hub(log)
    write(log, hub, 5)

    async with hub.join("game", "g") as follower:
        await _told(follower)
        log.forget()
        write(log, hub, 1)
        await hub.compare()
        told = await _told(follower)
        write(log, hub, 1)
        told += await _told(follower)

    assert _numbers(told) == ["snapshot 1", "2"]


async def test_hub_believes_no_number_that_the_log_does_not_know() -> None:
    """A frame that nobody has committed is told to nobody, and is not waited for."""
    log = MemoryLog()
    hub = Hub(log)
    made_up = Frame(7, change("fake"))

    async with hub.join("game", "g") as follower:
        await _told(follower)
        hub.receive([made_up])
        await hub.fill_gaps()
        write(log, hub, 8)
        told = await _told(follower)

    assert _numbers(told) == [str(n) for n in range(1, 9)]
    assert made_up not in told


async def test_hub_goes_on_when_the_log_comes_back() -> None:
    """A client learns that the log is away; the hub itself waits for it."""
    log = MemoryLog()
    hub = Hub(log)

    async with anyio.create_task_group() as tasks, hub.join("game", "g") as follower:
        await _told(follower)
        tasks.start_soon(hub.run)
        log.error = StoreAway("gone")
        frames = log.commit(change("a"), change("b"))
        hub.receive(frames[1:])
        await anyio.sleep(0.1)
        log.error = None
        with anyio.fail_after(5):
            told = [await anext(follower) for _ in range(2)]
        log.error = StoreAway("gone")
        async with hub.join("game", "new") as unlucky:
            with pytest.raises(StoreAway):
                await anext(unlucky)
        tasks.cancel_scope.cancel()

    assert told == frames


async def test_hub_forgets_a_group_that_nobody_follows() -> None:
    """Nothing is kept of a group after its last client has left."""
    log = MemoryLog()
    hub = Hub(log)

    async with hub.join("game", "g") as follower:
        await _told(follower)
    write(log, hub, 5)
    reads = log.reads
    await hub.compare()

    assert log.reads == reads


async def test_hub_lets_its_clients_go() -> None:
    """Who is let go hears the end, may come again, and disturbs nobody by leaving late."""
    log = MemoryLog()
    hub = Hub(log)

    async with hub.join("game", "g") as before:
        await _told(before)
        hub.let_go()
        write(log, hub, 1)
        ended = [told async for told in before]
        again = hub.join("game", "g", after=0)
        follower = await again.__aenter__()
    write(log, hub, 1)
    told = await _told(follower)
    await again.__aexit__(None, None, None)

    assert ended == []
    assert _numbers(told) == ["1", "2"]
    assert hub.followed == 0
