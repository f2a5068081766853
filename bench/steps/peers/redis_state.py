"""JSON state in Redis, for the peers that have no state of their own.

Read, then write: two commands, no transaction. Under one key at a time that loses nothing.
"""

import json

from redis.asyncio import Redis

from bench.steps.contract import counted_up

STEPS = ("first", "second")


class RedisState:
    """The counts of both steps."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def count_up(self, step: str, key: str) -> None:
        """Read a state, write it counted up."""
        name = f"{step}:{key}"
        found = await self._client.get(name)
        state = counted_up(json.loads(found) if found else None, key)
        await self._client.set(name, json.dumps(state))

    async def total(self) -> int:
        """Return the sum of all counts."""
        total = 0
        for step in STEPS:
            names = [name async for name in self._client.scan_iter(f"{step}:*", count=1_000)]
            found = await self._client.mget(names) if names else []
            total += sum(json.loads(state)["count"] for state in found if state)
        return total
