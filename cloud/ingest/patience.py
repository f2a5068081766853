"""Try again until it works: exponential backoff with full jitter, for ever or for a while."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
    _waiting: Counter[str] = field(default_factory=Counter, init=False)
    _failures: Counter[str] = field(default_factory=Counter, init=False)
    _limited: set[anyio.CancelScope] = field(default_factory=set, init=False)
    _is_hurried: bool = field(default=False, init=False)

    @property
    def is_waiting(self) -> bool:
        """Return whether a call's last attempt failed, and it is being tried again."""
        return self._waiting.total() > 0

    def waits_for(self, what: str) -> bool:
        """Return whether a call of that peer failed, and is being tried again."""
        return self._waiting[what] > 0

    def hurry(self) -> None:
        """Give up now, and from now on at once, whatever is only tried for a while."""
        self._is_hurried = True
        for scope in self._limited:
            scope.cancel()

    async def until_done(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        of: type[Exception],
        what: str,
        within_s: float | None = None,
    ) -> T:
        """Repeat `call` while it raises `of`; after `within_s` of that, raise it too.

        Logs once when a peer fails and once when it is back, whoever waits for it.
        """
        try:
            result = await call()
        except of as exc:
            failure: Exception = exc
        else:
            self._note_returned(what)
            return result
        self._note_lost(what, failure)
        self._waiting[what] += 1
        try:
            with self._limit(within_s):
                return await self._retry(call, of=of, what=what, asked_s=_asked_s(failure))
        finally:
            self._waiting[what] -= 1
        raise failure

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
                self._failures[what] += 1
                continue
            self._note_returned(what)
            return result

    @contextmanager
    def _limit(self, within_s: float | None) -> Iterator[None]:
        """Leave the body after so long; None: never."""
        if within_s is None:
            yield
            return
        with anyio.move_on_after(0 if self._is_hurried else within_s) as scope:
            self._limited.add(scope)
            try:
                yield
            finally:
                self._limited.discard(scope)

    def _note_lost(self, what: str, reason: Exception) -> None:
        if not self._failures[what]:
            _log.warning("peer.lost", peer=what, reason=str(reason))
        self._failures[what] += 1

    def _note_returned(self, what: str) -> None:
        failures = self._failures.pop(what, 0)
        if failures:
            _log.info("peer.returned", peer=what, failures=failures)


def _asked_s(exc: Exception) -> float:
    """Return how long the peer asked to be left alone: `retry_after_s`, where an error has it."""
    asked: float = getattr(exc, "retry_after_s", 0.0)
    return asked
