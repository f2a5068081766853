"""The step contract as types: what a step's `config` says and what its `handler` is given.

A step is a file `*_step.py` with `config` (a dict) and `handler`. Beyond `(input, ctx)` a
handler may ask for *resources* by keyword-only parameters; the application that discovers the
steps provides them by name (`docs/adr/0002`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

StepType = Literal["api", "event", "cron", "mqtt", "noop"]
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

    def set(
        self,
        group: str,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        on_expire: str | None = None,
    ) -> Awaitable[None]:
        """Set the value; with `ttl` (seconds) it lapses, without it stays for good.

        When it lapses `{group, key, value}` is emitted on the topic `on_expire`, once.
        """
        ...

    def delete(self, group: str, key: str) -> Awaitable[None]:
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


class Stream(Protocol):
    """One stream: values in groups that clients see change; its writes commit with the rest."""

    async def get(self, group: str, key: str) -> Any:
        """Return a copy of the value, or None."""
        ...

    async def set(self, group: str, key: str, value: Any) -> None:
        """Set the value; clients of the group get a `set` frame."""
        ...

    async def delete(self, group: str, key: str) -> None:
        """Delete the value; clients of the group get a `delete` frame."""
        ...

    async def get_group(self, group: str) -> list[Any]:
        """Return the group's values in order of their keys."""
        ...

    async def send(self, group: str, event: Any, id: str | None = None) -> None:  # noqa: A002
        """Send the clients of the group an `event` frame; it is no value and is not kept."""
        ...

    def subscribe(
        self, fn: Callable[[dict[str, Any]], Awaitable[None]] | None = None
    ) -> Callable[[], None] | AsyncIterator[dict[str, Any]]:
        """Follow every group of the stream from now on.

        A change is `{"group", "seq", "type": "set" | "delete" | "event", "id", "data"}`. With a
        function it is called for each, one after the other, and the answer is a plain callable
        that ends it; without one the answer is an async iterator of the changes.
        """
        ...


class Streams(Protocol):
    """`ctx.streams`: streams by name; a name may be made up at run time (`game:42`)."""

    def __getitem__(self, name: str) -> Stream:
        """Return the stream of that name; it need not exist."""
        ...


class Context(Protocol):
    """What a handler is given beside its input."""

    @property
    def state(self) -> State:
        """Values in groups, inside this invocation's transaction."""
        ...

    @property
    def streams(self) -> Streams:
        """Streams by name, inside this invocation's transaction."""
        ...

    @property
    def sync(self) -> Any:
        """The same calls, blocking: for plain `def` handlers (`ctx.sync.state.get(...)`)."""
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

    def emit(
        self,
        topic: str | dict[str, Any],
        data: Any = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the seed's word
    ) -> Awaitable[None]:
        """Emit an event when this invocation commits; one dict of `topic` and `data` will do.

        It is due after `delay` seconds or `at` a time (aware). Events of one `key` are handled
        in their order. An `id` that was emitted on the topic before changes nothing.
        """
        ...

    async def run(self, name: str, fn: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run a side effect once: a retry gets the recorded result (JSON-like)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait durably: the handler ends here and runs again from its top when the time is over.

        What `run`, `sleep` and `wait_for` answered before is answered from the journal then. In
        api steps it is a plain wait, within the step's timeout.
        """
        ...

    async def wait_for(
        self,
        topic: str,
        match: Mapping[str, Any] | None = None,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Any:
        """Wait durably for an event of a topic whose fields have these values; returns its data.

        Raises:
            TimeoutError: none came within `timeout` seconds.
        """
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


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit` events in any `per` seconds, over all processes; what is above waits."""

    limit: int
    per: float = 1.0


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events handed over as a list: up to `size`, or what came within `wait` seconds.

    With `key`, a JSON pointer, a list holds events of one key only.
    """

    size: int
    wait: float = 1.0
    key: str = ""


class StepConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The normalised `config` of a step; keys that its type does not use are absent.

    Times are seconds. `concurrency` bounds one process; with `concurrency_key`, a JSON pointer,
    `key_concurrency` bounds the events of one key in it. `lease` is how long a claim of an event
    or a run of a cron step holds unless renewed. `fifo` makes one lane of events without a key.
    """

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
    response_schema: Any = None
    websocket: bool = False
    subscribes: Sequence[str] = ()
    input: Any = None
    key: str = ""
    batch: Batch | None = None
    rate_limit: RateLimit | None = None
    delay: float = 0.0
    fifo: bool = False
    topic: str = ""
    qos: int = 1
    cron: str = ""
    timezone: str = "UTC"
    overlap: Literal["skip", "queue"] = "skip"
    catch_up: Literal["none", "last", "all"] = "none"
    retry: Retry = Retry()
    timeout: float = 30.0
    lease: float = 30.0
    concurrency: int = 16
    concurrency_key: str = ""
    key_concurrency: int = 0
    execution: Literal["inline", "process"] = "inline"


class Step(msgspec.Struct, frozen=True):
    """A discovered step: its config, its handler, where it came from, what it asks for.

    `given` are the public names of the sibling `step_globals.py`.
    """

    config: StepConfig
    handler: Handler
    file: Path
    takes: int
    is_async: bool = True
    resources: tuple[str, ...] = ()
    given: Mapping[str, object] = {}
