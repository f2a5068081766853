"""The engine on PostgreSQL: several processes on one state, and a database that goes away."""

import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.support.postgres import Postgres
from tests.support.steps import until, write_steps
from tidegate.contract import Context, Step
from tidegate.definition.discovery import discover
from tidegate.engine import values
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.errors import StoreAway
from tidegate.store.model import Key
from tidegate.store.port import Store
from tidegate.store.postgres.store import open_postgres

pytestmark = pytest.mark.anyio
KEY = Key("c", "n")


def _engine(store: Store, steps: list[Step] | None = None) -> Engine:
    return Engine(steps or [], store, now_ms=lambda: time.time_ns() // 1_000_000, rng=Random(1))


async def _counter(store: Store) -> int:
    stored = await store.read(KEY, 0)
    return 0 if stored.data is None else int(values.decode(stored.data))


async def _add_one(ctx: Context) -> None:
    await ctx.state.set("c", "n", (await ctx.state.get("c", "n") or 0) + 1)


async def test_postgres_naive_counters_of_two_engines_lose_nothing(postgres_url: str) -> None:
    """16 loops that read, add one and write, half of them through another engine, all count."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        engines = [_engine(store), _engine(other)]

        async def loop(engine: Engine) -> None:
            for _ in range(10):
                await engine.transact(_add_one)

        async with anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(loop, engines[number % 2])

        assert await _counter(store) == 160


async def test_postgres_two_workers_handle_each_event_once(
    postgres_url: str, tmp_path: Path
) -> None:
    """Events of one step are shared by the workers of two engines; each counts once."""
    step = """
    config = {"type": "event", "name": "Count", "subscribes": ["n"], "concurrency": 8}
    async def handler(input, ctx):
        await ctx.state.set("seen", str(input["n"]), 1)
        await ctx.state.set("c", "n", (await ctx.state.get("c", "n") or 0) + 1)
    """
    found = discover([write_steps(tmp_path / "steps", {"count_step": step})])
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_postgres(postgres_url)) for _ in range(2)]
        engines = [_engine(store, found.steps) for store in stores]
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for engine in engines:
            tasks.start_soon(Worker(engine).run)
        await engines[0].emit_many("n", [{"n": number} for number in range(100)])

        async def handled() -> bool:
            return await stores[0].next_due_ms(["Count"]) is None

        await until(handled, timeout_s=30)

        assert await _counter(stores[1]) == 100
        assert len(await stores[1].read_group("seen", None, 0)) == 100
        tasks.cancel_scope.cancel()


async def test_postgres_is_waited_for(own_postgres: Postgres) -> None:
    """A process that starts before its database waits for it, as long as it was told to."""
    url = own_postgres.new_database()
    own_postgres.stop()
    with pytest.raises(StoreAway):
        async with open_postgres(url, patience_s=0.2):
            pass
    values_read: list[bytes | None] = []

    async def start_early() -> None:
        async with open_postgres(url) as store:
            values_read.append((await store.read(KEY, 0)).data)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start_early)
            await anyio.sleep(0.3)
            await anyio.to_thread.run_sync(own_postgres.start)

    assert values_read == [None]
