"""Reads of many callers in one query: those that come while one is under way go together.

A query's price is the way to the database and back, hardly its rows. Nobody waits for company:
a read that comes alone leaves alone.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio

from tidegate.errors import NonRetriable, StoreAway
from tidegate.store.port import Key

_MAX_GROUP = 256

Rows = Mapping[Key, Sequence[Any]]
Fetch = Callable[[list[Key]], Awaitable[Rows]]


class _Read:
    """One caller's read, and the event that ends its wait."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.done = anyio.Event()
        self.row: Sequence[Any] | None = None
        self.error: StoreAway | NonRetriable | None = None


class GatheredReads:
    """Reads rows by their keys. How many wait is bounded by the callers, one read each."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._waiting: list[_Read] = []
        self._came = anyio.Event()

    async def read(self, key: Key) -> Sequence[Any] | None:
        """Return a key's row, None when there is none.

        Raises:
            StoreAway: the database does not answer.
            NonRetriable: there cannot be such a key.
        """
        read = _Read(key)
        self._waiting.append(read)
        self._came.set()
        await read.done.wait()
        if read.error is not None:
            raise type(read.error)(str(read.error)) from read.error
        return read.row

    async def run(self) -> None:
        """Serve reads until cancelled; may run several times at once, for as many queries."""
        while True:
            if not self._waiting:
                self._came = came = anyio.Event()
                await came.wait()
            group, self._waiting = self._waiting[:_MAX_GROUP], self._waiting[_MAX_GROUP:]
            if group:
                await self._serve(group)

    async def _serve(self, group: list[_Read]) -> None:
        try:
            rows = await self._fetch(list({read.key for read in group}))
            for read in group:
                read.row = rows.get(read.key)
        except (StoreAway, NonRetriable) as exc:
            if isinstance(exc, NonRetriable) and len(group) > 1:
                # One key is at fault, and the others' callers must not suffer for it.
                for read in group:
                    await self._serve([read])
                return
            for read in group:
                read.error = exc
        finally:
            for read in group:
                read.done.set()
