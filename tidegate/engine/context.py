"""`ctx`: what a handler is given beside its input, bound to one run of one invocation."""

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import anyio

from tidegate.contract import Logger, StepConfig
from tidegate.engine.blocking import Blocking
from tidegate.engine.contention import Contention, Turn
from tidegate.engine.journal import Journal, MemoryJournal, Suspended
from tidegate.engine.logs import step_logger
from tidegate.engine.noted import NOTED
from tidegate.engine.state import TransactionState
from tidegate.engine.streams import TransactionStreams
from tidegate.engine.transaction import Transaction, as_emit, due_at_ms, emission
from tidegate.errors import NonRetriable
from tidegate.store.port import States
from tidegate.streams.hub import Hub


class Invocation(NamedTuple):
    """What stays the same over all runs of one invocation.

    `until_s` (of `time.monotonic`) is when it is too late to commit. Without `can_rerun` a run is
    a part of a handler whose parts before have committed: on a conflict it fails.
    """

    config: StepConfig | None
    trace_id: str
    attempt: int
    idempotency_key: str
    journal: Journal
    until_s: float = math.inf
    can_rerun: bool = True


class Surroundings(NamedTuple):
    """What a run is given by the engine: the state, the clock in Unix ms, the streams."""

    store: States
    now_ms: Callable[[], int]
    hub: Hub
    contention: Contention


class InvocationContext:
    """See `tidegate.contract.Context`."""

    def __init__(self, invocation: Invocation, around: Surroundings) -> None:
        self.transaction = Transaction()
        self.turn = Turn(around.contention, invocation.config.name if invocation.config else "")
        self.state = TransactionState(
            around.store, self.transaction, self.turn, around.now_ms, invocation.config
        )
        self.trace_id = invocation.trace_id
        self.attempt = invocation.attempt
        self.idempotency_key = invocation.idempotency_key
        self._invocation = invocation
        self._around = around
        self._waits = 0
        self._effects: set[str] = set()

    @cached_property
    def logger(self) -> Logger:
        """A logger that knows the step and the trace."""
        config = self._invocation.config
        return step_logger(config.name if config else "runtime", self.trace_id)

    @cached_property
    def streams(self) -> TransactionStreams:
        """Streams by name, inside this invocation's transaction."""
        # Their values are in groups of the runtime.
        around = self._around
        state = TransactionState(around.store, self.transaction, self.turn, around.now_ms, None)
        return TransactionStreams(state, self.transaction.note_change, self._around.hub)

    @cached_property
    def sync(self) -> Any:
        """The same calls, blocking: for plain `def` handlers."""
        return Blocking(self)

    def emit(
        self,
        topic: str | dict[str, Any],
        data: Any = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's word
    ) -> Awaitable[None]:
        """Emit an event when this invocation commits; noted at once, awaited or not."""
        if isinstance(topic, dict):
            return self.emit(**as_emit(topic))
        due = None if delay is None and at is None else due_at_ms(self._around.now_ms(), delay, at)
        config = self._invocation.config
        self.transaction.emissions.append(
            emission(config, topic, data, due_at_ms=due, key=key, id=id)
        )
        return NOTED

    async def run(self, name: str, fn: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run a side effect once: a retry gets the recorded result."""
        if name in self._effects:
            raise NonRetriable(f"ctx.run('{name}') twice in one run: give each effect its own name")
        self._effects.add(name)
        recorded = self.recorded(name)
        if recorded is not None:
            return recorded[0]
        result = fn()
        if inspect.isawaitable(result):
            result = await result
        return await self._invocation.journal.record(f"run:{name}", result)

    def recorded(self, name: str) -> tuple[Any] | None:
        """Return the recorded result of an effect, in a tuple; None when there is none yet."""
        return self._invocation.journal.recorded(f"run:{name}")

    async def sleep(self, seconds: float) -> None:
        """Wait durably; in api steps a plain wait."""
        if isinstance(self._invocation.journal, MemoryJournal):
            await anyio.sleep(seconds)
            return
        until_ms = self._wait_until(f"sleep:{self._next_wait()}", seconds)
        if self._around.now_ms() < until_ms:
            raise Suspended(until_ms, {})

    async def wait_for(
        self,
        topic: str,
        match: Mapping[str, Any] | None = None,
        *,
        timeout: float,  # noqa: ASYNC109 - the contract's word
    ) -> Any:
        """Wait durably for an event of a topic; `TimeoutError` when none comes."""
        journal = self._invocation.journal
        if isinstance(journal, MemoryJournal):
            raise NonRetriable("ctx.wait_for needs an event or cron step: it outlives the request")
        name = f"wait:{self._next_wait()}"
        awaited: dict[str, Any] = {"name": name, "topic": topic, "match": dict(match or {})}
        until_ms = self._wait_until(f"{name}:until", timeout, **awaited)
        answer = journal.recorded(name)
        if answer is None and self._around.now_ms() < until_ms:
            raise Suspended(until_ms, {}, **awaited)
        # Who is first decides: the time that is over, or an event that comes just now.
        [kind, *data] = answer[0] if answer else await journal.record(name, ["timeout"])
        if kind == "timeout":
            raise TimeoutError(f"no '{topic}' came within {timeout} s")
        return data[0]

    def discard(self) -> None:
        """End what this run has begun beside its transaction: the run is void."""
        if "streams" in self.__dict__:
            self.streams.discard()

    def now(self) -> datetime:
        """Return the runtime's clock, aware UTC."""
        return datetime.fromtimestamp(self._around.now_ms() / 1000, UTC)

    def _next_wait(self) -> int:
        self._waits += 1
        return self._waits

    def _wait_until(self, mark: str, seconds: float, **awaited: Any) -> int:
        """Return until when a wait lasts; the first time it is come to, the run ends here.

        What the handler wrote and emitted before is committed with that end: so later runs, which
        come by again, drop it.
        """
        marked = self._invocation.journal.recorded(mark)
        if marked is None:
            now_ms = self._around.now_ms()
            until_ms = due_at_ms(now_ms, seconds, None) or now_ms
            raise Suspended(until_ms, {mark: until_ms}, **awaited)
        self.transaction.forget_changes()
        until: int = marked[0]
        return until
