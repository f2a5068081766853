"""Try again until it works: exponential backoff with full jitter, for ever."""

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
import structlog

BASE_S = 0.2
CAP_S = 10.0

T = TypeVar("T")

_log = structlog.get_logger()


def delays_s(rng: random.Random, *, base_s: float, cap_s: float) -> Iterator[float]:
    """Return waits in seconds: a random part of 1, 2, 4, … times `base_s`, at most `cap_s`."""
    limit_s = base_s
    while True:
        yield rng.uniform(0, limit_s)
        limit_s = min(2 * limit_s, cap_s)


async def until_done(
    call: Callable[[], Awaitable[T]],
    *,
    of: tuple[type[Exception], ...],
    what: str,
    waits_s: Iterator[float],
    on_retry: Callable[[], object],
) -> T:
    """Repeat `call` while it raises one of `of`. Logs once when it fails and once when it ends."""
    failures = 0
    while True:
        try:
            result = await call()
        except of as exc:
            if not failures:
                _log.warning("peer.lost", peer=what, reason=str(exc))
            failures += 1
            on_retry()
            await anyio.sleep(next(waits_s))
        else:
            if failures:
                _log.info("peer.returned", peer=what, failures=failures)
            return result
