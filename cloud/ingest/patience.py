"""Try again until it works: exponential backoff with full jitter, for ever."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import anyio
import structlog

from wire.backoff import Backoff

_BASE_S = 0.2
_CAP_S = 10.0

T = TypeVar("T")

_log = structlog.get_logger()


@dataclass(slots=True)
class Patience:
    """Waits out the absence of peers; `on_retry` counts every failure. Of one event loop."""

    rng: Random
    on_retry: Callable[[], object]
    base_s: float = _BASE_S
    _waiting: int = field(default=0, init=False)

    @property
    def is_waiting(self) -> bool:
        """Return whether a call's last attempt failed, and it is being tried again."""
        return self._waiting > 0

    async def until_done(
        self, call: Callable[[], Awaitable[T]], *, of: type[Exception], what: str
    ) -> T:
        """Repeat `call` while it raises `of`. Logs once when it fails and once when it ends."""
        try:
            return await call()
        except of as exc:
            _log.warning("peer.lost", peer=what, reason=str(exc))
            asked_s = _asked_s(exc)
        self._waiting += 1
        try:
            return await self._retry(call, of=of, what=what, asked_s=asked_s)
        finally:
            self._waiting -= 1

    async def _retry(
        self, call: Callable[[], Awaitable[T]], *, of: type[Exception], what: str, asked_s: float
    ) -> T:
        """Go on after a first failure; the peer asked to be left alone for `asked_s`."""
        backoff = Backoff(self.rng, base_s=self.base_s, cap_s=_CAP_S)
        while True:
            self.on_retry()
            await anyio.sleep(max(backoff.next_s(), asked_s))
            try:
                result = await call()
            except of as exc:
                asked_s = _asked_s(exc)
                continue
            _log.info("peer.returned", peer=what, failures=backoff.failures)
            return result


def _asked_s(exc: Exception) -> float:
    """Return how long the peer asked to be left alone: `retry_after_s`, where an error has it."""
    asked: float = getattr(exc, "retry_after_s", 0.0)
    return asked
