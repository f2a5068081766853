"""A `ctx` for calling steps as plain functions: state in a dict, everything else recorded."""

import copy
import fnmatch
import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.support.stream_log import MemoryLog
from tidegate.contract import Streams
from tidegate.engine.blocking import Blocking
from tidegate.engine.streams import TransactionStreams
from tidegate.store.model import StreamChange
from tidegate.streams.hub import Hub

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that only the test moves."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        """Return the time."""
        return self.at

    def now_ms(self) -> int:
        """Return the time in Unix ms."""
        return round(self.at.timestamp() * 1000)

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


class FakeState:
    """`ctx.state` on a dict, with exact expiry by the fake clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._values: dict[tuple[str, str], tuple[Any, datetime | None]] = {}

    async def get(self, group: str, key: str) -> Any:
        """Return a copy of the value, or None."""
        value, lapses_at = self._values.get((group, key), (None, None))
        lapsed = lapses_at is not None and lapses_at <= self._clock.now()
        return None if lapsed else copy.deepcopy(value)

    async def set(
        self,
        group: str,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        on_expire: str | None = None,
    ) -> None:
        """Set a value, which must be JSON-like as in the real state; no lapse is told."""
        lapses_at = None if ttl is None else self._clock.now() + timedelta(seconds=ttl)
        plain = msgspec.json.decode(msgspec.json.encode(value))
        self._values[(group, key)] = (plain, lapses_at)

    async def delete(self, group: str, key: str) -> None:
        """Delete the value if it is there."""
        self._values.pop((group, key), None)

    async def get_group(self, group: str) -> list[Any]:
        """Return the group's values in order of their keys."""
        return await self.get_pattern(group, "*")

    async def get_pattern(self, group: str, pattern: str) -> list[Any]:
        """Return the values whose keys match a glob, in order of their keys."""
        keys = sorted(key for of, key in self._values if of == group)
        values = [await self.get(group, key) for key in keys if fnmatch.fnmatchcase(key, pattern)]
        return [value for value in values if value is not None]

    async def increment(self, group: str, key: str, by: float = 1) -> float:
        """Add to a number and return the sum."""
        return float(await self.update(group, key, lambda value: (value or 0) + by))

    async def update(self, group: str, key: str, fn: Callable[[Any], Any]) -> Any:
        """Set the value to `fn(value)` and return it."""
        await self.set(group, key, fn(await self.get(group, key)))
        return await self.get(group, key)

    async def clear(self, group: str) -> None:
        """Delete the whole group."""
        for of, key in list(self._values):
            if of == group:
                del self._values[(of, key)]


class FakeLogger:
    """Keeps what was logged: `[(level, event, fields), …]`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Keep it."""
        self.entries.append(("debug", event, {**(details or {}), **fields}))

    def info(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Keep it."""
        self.entries.append(("info", event, {**(details or {}), **fields}))

    def warning(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Keep it."""
        self.entries.append(("warning", event, {**(details or {}), **fields}))

    def error(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Keep it."""
        self.entries.append(("error", event, {**(details or {}), **fields}))


class FakeContext:
    """`tidegate.contract.Context` for one step after another.

    `emitted` holds `(topic, data)` in order, the data as it was given. State, clock and journal
    live on from call to call; `ran` counts how often each effect of `run` was really executed.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.state = FakeState(self.clock)
        self.logger = FakeLogger()
        self.trace_id = "0" * 32
        self.attempt = 1
        self.idempotency_key = "invocation-1"
        self.emitted: list[tuple[str, Any]] = []
        self.ran: dict[str, int] = {}
        self.streamed: list[StreamChange] = []
        self._hub = Hub(MemoryLog())
        self._journal: dict[str, Any] = {}

    async def emit(
        self,
        topic: str | dict[str, Any],
        data: Any = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's word
    ) -> None:
        """Record an event."""
        if isinstance(topic, dict):
            self.emitted.append((topic["topic"], topic.get("data")))
        else:
            self.emitted.append((topic, data))

    async def run(self, name: str, fn: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run a side effect once per invocation: a retry gets the recorded result."""
        key = f"{self.idempotency_key}/{name}"
        if key not in self._journal:
            self.ran[name] = self.ran.get(name, 0) + 1
            result = fn()
            self._journal[key] = await result if inspect.isawaitable(result) else result
        return self._journal[key]

    async def sleep(self, seconds: float) -> None:
        """Let the fake clock's time pass."""
        self.clock.pass_s(seconds)

    async def wait_for(
        self,
        topic: str,
        match: Mapping[str, Any] | None = None,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Any:
        """Wait in vain: nobody emits to a fake."""
        self.clock.pass_s(timeout)
        raise TimeoutError(topic)

    @property
    def streams(self) -> Streams:
        """Return streams over the fake state; `streamed` holds what their clients would be told."""
        return TransactionStreams(self.state, self.streamed.append, self._hub)

    @property
    def sync(self) -> Any:
        """Return the same calls, blocking, for a plain handler that runs in a worker's thread."""
        return Blocking(self)

    def now(self) -> datetime:
        """Return the fake clock's time."""
        return self.clock.now()

    def take_emitted(self, topic: str) -> list[Any]:
        """Return the data emitted on a topic so far, and forget them."""
        taken = [data for on, data in self.emitted if on == topic]
        self.emitted = [(on, data) for on, data in self.emitted if on != topic]
        return taken
