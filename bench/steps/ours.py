"""Our engine as a contender: steps from files, engine and worker as `tidegate start` wires them.

The only module here that knows how an engine is put together.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio

from bench.steps.contract import First, Handled, Where, key_of
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker, working
from tidegate.running.generation import now_ms
from tidegate.running.loading import load_steps
from tidegate.store.open import open_store
from tidegate.streams.hub import Hub

_STEPS = Path(__file__).parent / "chain"
_TOPICS = {
    First.CHAIN: "bench.chain.began",
    First.SECOND: "bench.chain.went_on",
    First.COMMITTED: "bench.single.began",
}
_GROUPS = ("bench.first", "bench.second", "bench.single")


class Ours:
    """The engine under load."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def emit(self, first: First, index: int) -> None:
        """Emit from outside of any step; durable on return."""
        await self._engine.emit(_TOPICS[first], {"index": index, "key": key_of(index)})

    async def state_sum(self) -> int:
        """Return the sum of the counts of all groups."""

        async def add_up(ctx: Context) -> int:
            values = [value for group in _GROUPS for value in await ctx.state.get_group(group)]
            return sum(value["count"] for value in values)

        return await self._engine.transact(add_up)


@asynccontextmanager
async def contender(where: Where, handled: Handled) -> AsyncIterator[Ours]:
    """Run the worker; the single step's event is handled when its commit is seen from outside."""

    def observe(topic: str, data: Any) -> None:
        if topic == "bench.single.done":
            handled(data["index"])

    url = f"sqlite:///{where.folder / 'state.db'}" if where.url == "sqlite" else where.url
    steps = load_steps([_STEPS], resources=("handled",))
    async with open_store(url) as store, anyio.create_task_group() as streams:
        hub = Hub(store)
        streams.start_soon(hub.run)
        engine = Engine(steps, store, now_ms=now_ms, rng=Random(), hub=hub)
        engine.provide({"handled": handled})
        engine.on_emitted(observe)
        async with working(Worker(engine)):
            yield Ours(engine)
        await engine.aclose()
        streams.cancel_scope.cancel()
