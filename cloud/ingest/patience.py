"""Try again until it works: exponential backoff with full jitter, for ever."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import anyio
import structlog

from wire.backoff import Backoff

_BASE_S = 0.2
_CAP_S = 10.0

T = TypeVar("T")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits out the absence of peers; `on_retry` counts every failure."""

    rng: Random
    on_retry: Callable[[], object]
    base_s: float = _BASE_S

    async def until_done(
        self, call: Callable[[], Awaitable[T]], *, of: type[Exception], what: str
    ) -> T:
        """Repeat `call` while it raises `of`. Logs once when it fails and once when it ends."""
        backoff = Backoff(self.rng, base_s=self.base_s, cap_s=_CAP_S)
        while True:
            try:
                result = await call()
            except of as exc:
                if not backoff.failures:
                    _log.warning("peer.lost", peer=what, reason=str(exc))
                self.on_retry()
                await anyio.sleep(backoff.next_s())
            else:
                if backoff.failures:
                    _log.info("peer.returned", peer=what, failures=backoff.failures)
                return result
