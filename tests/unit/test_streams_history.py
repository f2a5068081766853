"""Whatever the order of writing, telling, joining and coming back: each history is complete."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.stream_log import Kind, MemoryLog, change
from tidegate.store.model import Frame, StreamSnapshot
from tidegate.streams.follower import Follower, Told
from tidegate.streams.hub import Hub

Op = tuple[str, int]
_KINDS = ("here", "there", "deliver", "twice", "lose", "join", "return", "read", "heal")
_OPS = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 7)), max_size=60)
_FOREVER_S = 1e9


class _Client:
    """What one client was told, over all its connections."""

    def __init__(self) -> None:
        self.history: list[Told] = []
        self.stack = AsyncExitStack()
        self.follower: Follower | None = None

    async def connect(self, hub: Hub) -> None:
        await self.stack.aclose()
        after = self.history[-1].seq if self.history else None
        joining = hub.join("game", "g", after)
        self.follower = await self.stack.enter_async_context(joining)

    async def read(self, count: int) -> None:
        assert self.follower is not None
        for _ in range(count):
            with anyio.move_on_after(0) as scope:
                self.history.append(await anext(self.follower))
            if scope.cancelled_caught:
                break


class _World:
    """A log, the hub of this process, frames of other processes on their way, clients."""

    def __init__(
        self, meanwhile: Sequence[Op], *, keep: int, queue: int, patience_s: float
    ) -> None:
        self.log = MemoryLog(keep)
        self.hub = Hub(self.log, queue=queue, patience_s=patience_s)
        self.under_way: list[Frame] = []
        self.clients: list[_Client] = []
        self._meanwhile = list(meanwhile)
        self.log.meanwhile = self._happen

    def _happen(self) -> None:
        if self._meanwhile:
            self.now(*self._meanwhile.pop())

    def now(self, kind: str, n: int) -> None:
        """Do what needs no waiting."""
        if kind == "here":
            self.hub.publish(self._commit(n))
        elif kind == "there":
            self.under_way += self._commit(n)
        elif kind in ("deliver", "twice", "lose") and self.under_way:
            frame = self.under_way[n % len(self.under_way)]
            if kind != "twice":
                self.under_way.remove(frame)
            if kind != "lose":
                self.hub.receive([frame])

    def stop(self) -> None:
        """Let nothing happen meanwhile any more."""
        self._meanwhile.clear()

    async def do(self, kind: str, n: int) -> None:
        """Do one thing."""
        if kind == "join":
            self.clients.append(_Client())
            await self.clients[-1].connect(self.hub)
        elif kind == "heal":
            await self.hub.compare()
        elif kind in ("return", "read") and self.clients:
            client = self.clients[n % len(self.clients)]
            await (client.connect(self.hub) if kind == "return" else client.read(n))
        else:
            self.now(kind, n)

    def _commit(self, n: int) -> list[Frame]:
        kinds: tuple[Kind, ...] = ("set", "delete", "event")
        return self.log.commit(
            *(change(f"k{(n + i) % 3}", b"%d" % i, kind=kinds[(n + i) % 3]) for i in range(n))
        )


async def _histories(world: _World, ops: Sequence[Op]) -> list[list[Told]]:
    await world.do("join", 0)
    for kind, n in ops:
        await world.do(kind, n)
    for client in world.clients:
        await client.read(10_000)
    world.stop()
    await world.hub.compare()
    for client in world.clients:
        await client.read(10_000)
        await client.stack.aclose()
    return [client.history for client in world.clients]


def _replayed(history: Sequence[Told]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for told in history:
        if isinstance(told, StreamSnapshot):
            values = dict(told.values)
        elif told.change.kind == "set":
            values[str(told.change.id)] = told.change.data or b""
        elif told.change.kind == "delete":
            values.pop(str(told.change.id), None)
    return values


def _holes(history: Sequence[Told]) -> list[tuple[int, int]]:
    return [
        (before.seq, after.seq)
        for before, after in pairwise(history)
        if not isinstance(after, StreamSnapshot) and after.seq != before.seq + 1
    ]


@settings(deadline=None, max_examples=300)
@given(_OPS, _OPS)
def test_history_of_a_patient_hub_is_complete(ops: list[Op], meanwhile: list[Op]) -> None:
    """Every client gets one snapshot, then every number once, in order, to the last."""
    world = _World(meanwhile, keep=10_000, queue=4, patience_s=_FOREVER_S)

    histories = anyio.run(_histories, world, ops)

    for history in histories:
        assert isinstance(history[0], StreamSnapshot)
        assert not any(isinstance(told, StreamSnapshot) for told in history[1:])
        assert _holes(history) == []
        assert history[-1].seq == world.log.head()
        assert _replayed(history) == world.log.values()


@settings(deadline=None, max_examples=300)
@given(_OPS, _OPS, st.integers(0, 6))
def test_history_with_snapshots_ends_at_the_truth(
    ops: list[Op], meanwhile: list[Op], keep: int
) -> None:
    """With little patience and a short log there are more snapshots, but no hole either."""
    world = _World(meanwhile, keep=keep, queue=4, patience_s=0)

    histories = anyio.run(_histories, world, ops)

    for history in histories:
        assert isinstance(history[0], StreamSnapshot)
        assert _holes(history) == []
        assert history[-1].seq == world.log.head()
        assert _replayed(history) == world.log.values()
