"""FastStream on Redis streams, state in Redis, subscribers in the producer's process.

hiredis is installed, which redis-py advises for speed. Tried, on a busy machine: `max_workers` 1
(half as fast), 8, 32 and 64 (no difference beyond the noise).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis

from bench.steps.contract import First, Handled, Where, key_of
from bench.steps.peers.redis_state import RedisState

_WORKERS = 32
_MAX_RECORDS = 100
_GROUP = "bench"


class OnFastStream:
    """Two subscribers of consumer groups; the first publishes to the second."""

    def __init__(self, broker: RedisBroker, state: RedisState, handled: Handled) -> None:
        self._broker = broker
        self._state = state
        self._handled = handled
        for stream, handler in (("first", self._run_first), ("second", self._run_second)):
            source = StreamSub(stream, group=_GROUP, consumer="c1", max_records=_MAX_RECORDS)
            broker.subscriber(stream=source, max_workers=_WORKERS)(handler)

    async def emit(self, first: First, index: int) -> None:
        """Publish a message."""
        stream = "first" if first is First.CHAIN else "second"
        await self._broker.publish({"index": index, "key": key_of(index)}, stream=stream)

    async def state_sum(self) -> int:
        """Return the sum of both steps' counts."""
        return await self._state.total()

    async def _run_first(self, message: Any) -> None:
        await self._state.count_up("first", message["key"])
        await self._broker.publish(message, stream="second")

    async def _run_second(self, message: Any) -> None:
        await self._state.count_up("second", message["key"])
        self._handled(message["index"])


@asynccontextmanager
async def contender(where: Where, handled: Handled) -> AsyncIterator[OnFastStream]:
    """Run both subscribers, on messages that are decoded but not checked."""
    broker = RedisBroker(where.url, apply_types=False, logger=None)
    async with Redis.from_url(where.url) as client:
        steps = OnFastStream(broker, RedisState(client), handled)
        async with broker:
            await broker.start()
            yield steps
