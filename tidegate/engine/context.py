"""`ctx`: what a handler is given beside its input, bound to one run of one invocation."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tidegate.contract import Logger, StepConfig
from tidegate.engine.state import TransactionState
from tidegate.engine.transaction import Transaction
from tidegate.store.port import Store

Record = Callable[[str, Any], Awaitable[None]]


class Invocation(NamedTuple):
    """What stays the same over all runs of one invocation.

    `journal` holds the results of `ctx.run` by name; `record` makes a new one durable.
    """

    config: StepConfig | None
    trace_id: str
    attempt: int
    idempotency_key: str
    journal: dict[str, Any]
    record: Record


class InvocationContext:
    """See `tidegate.contract.Context`."""

    def __init__(
        self,
        invocation: Invocation,
        store: Store,
        logger: Logger,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self.transaction = Transaction()
        self.state = TransactionState(store, self.transaction, now_ms)
        self.logger = logger
        self.trace_id = invocation.trace_id
        self.attempt = invocation.attempt
        self.idempotency_key = invocation.idempotency_key
        self._invocation = invocation
        self._now_ms = now_ms

    async def emit(
        self,
        topic: str | dict[str, Any],
        data: Any = None,
        *,
        delay: float | None = None,
        id: str | None = None,  # noqa: A002 - the contract's word
    ) -> None:
        """Emit an event when this invocation commits."""
        name, content = (
            (topic["topic"], topic.get("data")) if isinstance(topic, dict) else (topic, data)
        )
        self.transaction.emit(self._invocation.config, name, content, delay_s=delay or 0.0, id=id)

    async def run(self, name: str, fn: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Run a side effect once: a retry gets the recorded result."""
        journal = self._invocation.journal
        if name not in journal:
            result = fn()
            journal[name] = await result if inspect.isawaitable(result) else result
            await self._invocation.record(name, journal[name])
        return journal[name]

    def now(self) -> datetime:
        """Return the runtime's clock, aware UTC."""
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)
