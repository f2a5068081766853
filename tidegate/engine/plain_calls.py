"""Plain `def` handlers in threads, of which there are never more than a bound."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")


class PlainCalls:
    """Runs functions in at most `size` threads; further ones wait.

    One that is given up (its timeout is over) holds its place until it ends by itself: a thread
    cannot be stopped.
    """

    def __init__(self, size: int) -> None:
        self._places = anyio.CapacityLimiter(size)
        self._unbounded = anyio.CapacityLimiter(math.inf)

    async def run(self, fn: Callable[[], T]) -> T:
        """Run a function and return its result; cancelling it leaves it running."""
        place, loop = object(), asyncio.get_running_loop()
        await self._places.acquire_on_behalf_of(place)
        begun = False

        def held() -> T:
            nonlocal begun
            begun = True
            try:
                return fn()
            finally:
                loop.call_soon_threadsafe(self._release, place)

        try:
            return await to_thread.run_sync(held, abandon_on_cancel=True, limiter=self._unbounded)
        finally:
            if not begun:
                self._release(place)

    def _release(self, place: object) -> None:
        with suppress(RuntimeError):  # Given up just when its thread began: released already.
            self._places.release_on_behalf_of(place)
