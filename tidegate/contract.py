"""The step contract as types: what a step's `config` says and what its `handler` is given.

A step is a file `*_step.py` with `config` (a dict) and `handler`. Beyond `(input, ctx)` a
handler may ask for *resources* by keyword-only parameters; the application that discovers the
steps provides them by name (`docs/adr/0002`).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

StepType = Literal["api", "event", "cron", "noop"]
Handler = Callable[..., Any]


class Logger(Protocol):
    """`ctx.logger`: an event in the form `noun.verb`, details as keywords or one dict."""

    def debug(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what only a developer wants to know."""

    def info(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what happened."""

    def warning(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what an operator should look at."""

    def error(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what an operator must look at."""


class State(Protocol):
    """`ctx.state`: values in groups, read and written inside the invocation's transaction."""

    async def get(self, group: str, key: str) -> Any:
        """Return a copy of the value, or None."""
        ...

    async def set(
        self,
        group: str,
        key: str,
        value: Any,
        ttl: float | None = None,
    ) -> None:
        """Set the value; with `ttl` (seconds) it lapses, without it stays for good."""
        ...

    async def delete(self, group: str, key: str) -> None:
        """Delete the value if it is there."""
        ...

    async def get_group(self, group: str) -> list[Any]:
        """Return the group's values in order of their keys."""
        ...

    async def get_pattern(self, group: str, pattern: str) -> list[Any]:
        """Return the values whose keys match a glob, in order of their keys."""
        ...

    async def increment(self, group: str, key: str, by: float = 1) -> float:
        """Add to a number (0 when absent) and return the sum."""
        ...

    async def update(self, group: str, key: str, fn: Callable[[Any], Any]) -> Any:
        """Set the value to `fn(value)` and return it."""
        ...

    async def clear(self, group: str) -> None:
        """Delete the whole group."""
        ...


class Context(Protocol):
    """What a handler is given beside its input."""

    @property
    def state(self) -> State:
        """Values in groups, inside this invocation's transaction."""
        ...

    @property
    def logger(self) -> Logger:
        """A logger that knows the step and the trace."""
        ...

    @property
    def trace_id(self) -> str:
        """The W3C trace id, carried through emits."""
        ...

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; re-runs on conflict do not raise it."""
        ...

    @property
    def idempotency_key(self) -> str:
        """A text that is equal on every retry of the invocation."""
        ...

    async def emit(
        self,
        topic: str | dict[str, Any],
        data: Any = None,
        *,
        delay: float | None = None,
        id: str | None = None,  # noqa: A002 - the seed's word
    ) -> None:
        """Emit an event when this invocation commits; `delay` in seconds, `id` deduplicates."""
        ...

    async def run(self, name: str, fn: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run a side effect once: a retry gets the recorded result (JSON-like)."""
        ...

    def now(self) -> datetime:
        """Return the runtime's clock, aware UTC."""
        ...


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a failed event is tried again; seconds. `attempts` counts all."""

    attempts: int = 5
    backoff: Literal["exponential", "fixed"] = "exponential"
    base: float = 1.0
    cap: float = 300.0
    jitter: bool = True


class StepConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The normalised `config` of a step; keys that its type does not use are absent."""

    type: StepType
    name: str
    description: str = ""
    flows: Sequence[str] = ()
    emits: Sequence[str] | None = None
    method: str = "GET"
    path: str = ""
    middleware: Sequence[Any] = ()
    body_schema: Any = None
    query_params: Any = None
    subscribes: Sequence[str] = ()
    input: Any = None
    cron: str = ""
    timezone: str = "UTC"
    retry: Retry = Retry()
    timeout: float = 30.0
    concurrency: int = 16


class Step(msgspec.Struct, frozen=True):
    """A discovered step: its config, its handler, where it came from, what it asks for."""

    config: StepConfig
    handler: Handler
    file: Path
    takes: int
    resources: tuple[str, ...] = ()
