"""Taskiq: RedisStreamBroker, state in Redis, worker in the producer's process.

hiredis is installed, which redis-py advises for speed. Tried, on a busy machine: 16, 64 and 100
tasks at a time, xread_count 10, 100 and 1,000, 64 to 512 chains under way, a pool of 300
connections: no difference beyond the noise, so its defaults (100, 100) stand here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from redis.asyncio import Redis
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from bench.steps.contract import First, Handled, Where, key_of
from bench.steps.peers.redis_state import RedisState

_TASKS = 100


class OnTaskiq:
    """Two tasks on a broker; the first sends the second."""

    def __init__(self, broker: RedisStreamBroker, state: RedisState, handled: Handled) -> None:
        self._state = state

        # Plain functions: the broker renames what it registers, and methods have no name to set.
        async def run_first(index: int, key: str) -> None:
            await state.count_up("first", key)
            await self._second.kiq(index, key)

        async def run_second(index: int, key: str) -> None:
            await state.count_up("second", key)
            handled(index)

        self._first: Any = broker.register_task(run_first, "first")
        self._second: Any = broker.register_task(run_second, "second")

    async def emit(self, first: First, index: int) -> None:
        """Send a task."""
        task = self._first if first is First.CHAIN else self._second
        await task.kiq(index, key_of(index))

    async def state_sum(self) -> int:
        """Return the sum of both steps' counts."""
        return await self._state.total()


@asynccontextmanager
async def contender(where: Where, handled: Handled) -> AsyncIterator[OnTaskiq]:
    """Run a worker, on parameters that it does not check: ours are not checked either."""
    broker = RedisStreamBroker(where.url)
    async with Redis.from_url(where.url) as client:
        tasks = OnTaskiq(broker, RedisState(client), handled)
        await broker.startup()
        async with anyio.create_task_group() as working:
            working.start_soon(_work, broker)
            yield tasks
            working.cancel_scope.cancel()
        await broker.shutdown()


async def _work(broker: RedisStreamBroker) -> None:
    await run_receiver_task(broker, max_async_tasks=_TASKS, validate_params=False)
