"""A step's rate limit, held over all processes: how many events were begun lately is in the state.

What was begun is kept as chunks of (Unix ms, count) for one period, so the bound is exact: in no
period, wherever it begins, are there more than `limit`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tidegate.contract import Context, RateLimit

GROUP = "tidegate.rates"

Chunks = list[list[int]]
Transact = Callable[[Callable[[Context], Awaitable[Any]]], Awaitable[Any]]


class Allowance(NamedTuple):
    """How many may begin now, and from when on one more may (Unix ms)."""

    free: int
    next_at_ms: int


def allowance(limit: RateLimit, chunks: Chunks, now_ms: int) -> Allowance:
    """Return what is allowed, given what was begun."""
    period_ms = round(limit.per * 1000)
    recent = [chunk for chunk in chunks if chunk[0] > now_ms - period_ms]
    free = limit.limit - sum(count for _, count in recent)
    return Allowance(max(0, free), now_ms if free > 0 else recent[0][0] + period_ms)


def begun(limit: RateLimit, chunks: Chunks, now_ms: int, count: int) -> Chunks:
    """Return the chunks with `count` more; those that no longer matter are gone."""
    since = now_ms - round(limit.per * 1000)
    return [*(chunk for chunk in chunks if chunk[0] > since), [now_ms, count]]


def without(chunks: Chunks, at_ms: int, count: int) -> Chunks:
    """Return the chunks with `count` less of what was begun at a time."""
    kept: Chunks = []
    for at, taken in chunks:
        back = min(count, taken) if at == at_ms else 0
        count -= back
        if taken > back:
            kept.append([at, taken - back])
    return kept


class Rate:
    """The rate of one step."""

    def __init__(self, step: str, limit: RateLimit, transact: Transact) -> None:
        self._step = step
        self._limit = limit
        self._transact = transact
        self.next_at_ms = 0

    async def take(self, wanted: int, now_ms: int) -> int:
        """Take the right to begin up to `wanted` events; returns how many may."""

        async def take_some(ctx: Context) -> int:
            chunks: Chunks = await ctx.state.get(GROUP, self._step) or []
            allowed = allowance(self._limit, chunks, now_ms)
            count = min(wanted, allowed.free)
            if count:
                chunks = begun(self._limit, chunks, now_ms, count)
                await ctx.state.set(GROUP, self._step, chunks, ttl=self._limit.per)
            self.next_at_ms = allowance(self._limit, chunks, now_ms).next_at_ms
            return count

        taken: int = await self._transact(take_some)
        return taken

    async def give_back(self, count: int, now_ms: int) -> None:
        """Give back what was taken and found nothing to begin."""

        async def put_back(ctx: Context) -> None:
            chunks: Chunks = await ctx.state.get(GROUP, self._step) or []
            kept = without(chunks, now_ms, count)
            await ctx.state.set(GROUP, self._step, kept, ttl=self._limit.per)

        await self._transact(put_back)
