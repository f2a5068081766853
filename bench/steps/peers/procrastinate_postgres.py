"""procrastinate on PostgreSQL, state in a table beside its own, worker in the producer's process.

It has no transaction over a job and what the job writes. Tried, on a busy machine: concurrency 8,
16 and 64, pools of 6 and 20 connections, done jobs kept or deleted: no difference beyond the noise.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from bench.steps.contract import First, Handled, Where, counted_up, key_of

_CONCURRENCY = 16
_CONNECTIONS = 20
_TABLE = "create table state (step text, key text, value jsonb, primary key (step, key))"
_READ = "select value from state where step = %s and key = %s"
_WRITE = """insert into state values (%s, %s, %s)
on conflict (step, key) do update set value = excluded.value"""


class OnProcrastinate:
    """Two tasks; the first defers the second."""

    def __init__(self, app: App, pool: AsyncConnectionPool[Any], handled: Handled) -> None:
        self._pool = pool
        self._handled = handled
        self._first: Any = app.task(name="first")(self._run_first)
        self._second: Any = app.task(name="second")(self._run_second)

    async def emit(self, first: First, index: int) -> None:
        """Defer a job."""
        task = self._first if first is First.CHAIN else self._second
        await task.defer_async(index=index, key=key_of(index))

    async def state_sum(self) -> int:
        """Return the sum of both steps' counts."""
        async with self._pool.connection() as connection:
            found = await connection.execute("select value->'count' from state")
            return sum(row[0] for row in await found.fetchall())

    async def _run_first(self, index: int, key: str) -> None:
        await self._count_up("first", key)
        await self._second.defer_async(index=index, key=key)

    async def _run_second(self, index: int, key: str) -> None:
        await self._count_up("second", key)
        self._handled(index)

    async def _count_up(self, step: str, key: str) -> None:
        async with self._pool.connection() as connection:
            found = await (await connection.execute(_READ, (step, key))).fetchone()
            state = counted_up(found[0] if found else None, key)
            await connection.execute(_WRITE, (step, key, json.dumps(state)))


@asynccontextmanager
async def contender(where: Where, handled: Handled) -> AsyncIterator[OnProcrastinate]:
    """Make the tables and run a worker, woken by LISTEN/NOTIFY."""
    connector = PsycopgConnector(conninfo=where.url, min_size=4, max_size=_CONNECTIONS)
    app = App(connector=connector)
    pool = AsyncConnectionPool(where.url, min_size=4, max_size=_CONNECTIONS, open=False)
    async with app.open_async(), pool:
        await app.schema_manager.apply_schema_async()
        async with pool.connection() as connection:
            await connection.execute(_TABLE)
        steps = OnProcrastinate(app, pool, handled)
        async with anyio.create_task_group() as working:
            working.start_soon(_work, app)
            yield steps
            working.cancel_scope.cancel()


async def _work(app: App) -> None:
    await app.run_worker_async(
        concurrency=_CONCURRENCY, install_signal_handlers=False, delete_jobs="always"
    )
