"""The engine: runs handlers as transactions, routes emissions to steps, commits, re-runs.

A run reads from the store, buffers what it writes and emits, and ends in one commit. When what
it read has changed meanwhile the handler runs again, from its top, on fresh reads.
"""

import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from tidegate.contract import Context, Step, StepConfig
from tidegate.engine import values
from tidegate.engine.context import Invocation, InvocationContext
from tidegate.engine.logs import step_logger
from tidegate.engine.transaction import Emission
from tidegate.errors import Conflict, LeaseLost, Misconfigured
from tidegate.normalise import matches
from tidegate.store.port import Claim, NewDelivery, Store

MAX_RUNS = 64
_CONFLICT_WAIT_S = 0.02
_MAX_KNOWN_TOPICS = 4096

T = TypeVar("T")
NowMs = Callable[[], int]
Observer = Callable[[str, Any], None]


class Engine:
    """Steps, their resources, the store and the clock."""

    def __init__(
        self,
        steps: list[Step],
        store: Store,
        *,
        now_ms: NowMs,
        rng: Random,
    ) -> None:
        self.steps = {step.config.name: step for step in steps}
        self.store = store
        self.now_ms = now_ms
        self.rng = rng
        self._resources: dict[str, object] = {}
        self._subscribers: dict[str, list[str]] = {}
        self._wakers: dict[str, Callable[[], None]] = {}
        self._observers: list[Observer] = []
        self._threads = anyio.CapacityLimiter(32)

    def provide(self, resources: Mapping[str, object]) -> None:
        """Give handlers what their keyword-only parameters ask for, by name.

        Apart from the constructor because some resources need the engine themselves.

        Raises:
            Misconfigured: a step asks for a resource that is not among them.
        """
        for step in self.steps.values():
            for name in step.resources:
                if name not in resources:
                    raise Misconfigured(f"{step.file}: nobody provides the resource '{name}'")
        self._resources = dict(resources)

    async def emit(self, topic: str, data: object, *, id: str | None = None) -> None:  # noqa: A002
        """Emit an event from outside of any step; durable on return."""

        async def emit_it(ctx: Context) -> None:
            await ctx.emit(topic, data, id=id)

        await self.transact(emit_it)

    async def emit_many(self, topic: str, events: Sequence[object]) -> None:
        """Emit several events from outside of any step, all or none; durable on return."""

        async def emit_all(ctx: Context) -> None:
            for data in events:
                await ctx.emit(topic, data)

        await self.transact(emit_all)

    async def transact(self, fn: Callable[[Context], Awaitable[T]]) -> T:
        """Run a function in a transaction of its own; it may run several times."""
        invocation = Invocation(None, new_trace_id(), 1, secrets.token_hex(8), {}, _keep_nothing)
        return await self._in_transaction(invocation, fn)

    async def invoke(
        self,
        step: Step,
        invocation: Invocation,
        input_data: object = None,
        *,
        done: Claim | None = None,
        call: Callable[[Context], Awaitable[Any]] | None = None,
    ) -> Any:
        """Run a step once, from reading to commit; returns what its handler returned.

        Args:
            step: the step.
            invocation: who it is over all its runs.
            input_data: the handler's input.
            done: the delivery whose end is part of the commit.
            call: what to run instead of the plain handler (middleware around it).
        """
        run = call or (lambda ctx: self.call_handler(step, input_data, ctx))
        return await self._in_transaction(invocation, run, done=done)

    async def call_handler(self, step: Step, input_data: object, ctx: Context) -> Any:
        """Call a handler in the form it has: (input, ctx), (ctx) or ()."""
        only_ctx = step.takes == 1 and step.config.type == "cron"
        arguments = (ctx,) if only_ctx else (input_data, ctx)[: step.takes]
        resources = {name: self._resources[name] for name in step.resources}
        if inspect.iscoroutinefunction(step.handler):
            return await step.handler(*arguments, **resources)
        return await to_thread.run_sync(
            lambda: step.handler(*arguments, **resources),
            abandon_on_cancel=True,
            limiter=self._threads,
        )

    async def redrive(self, dead_id: int) -> bool:
        """Make a dead event due again; False when there is none of that id."""
        done = await self.store.redrive(dead_id, self.now_ms())
        for wake in self._wakers.values():
            wake()
        return done

    def on_delivery(self, step: str, wake: Callable[[], None]) -> None:
        """Call `wake` when this process commits an event for the step."""
        self._wakers[step] = wake

    def on_emitted(self, observe: Observer) -> None:
        """Call `observe(topic, data)` for every event that this process commits.

        Also for one that no step subscribes to, or whose `id` was emitted before.
        """
        self._observers.append(observe)

    async def _in_transaction(
        self,
        invocation: Invocation,
        run: Callable[[Context], Awaitable[T]],
        *,
        done: Claim | None = None,
    ) -> T:
        for runs in range(1, MAX_RUNS + 1):
            ctx = self._context(invocation)
            result = await run(ctx)
            try:
                await self._commit(ctx, done)
            except LeaseLost:
                raise
            except Conflict:
                if runs == MAX_RUNS:
                    raise
                await anyio.sleep(self.rng.uniform(0, _CONFLICT_WAIT_S * min(runs, 8)))
                continue
            return result
        raise AssertionError

    def _context(self, invocation: Invocation) -> InvocationContext:
        name = invocation.config.name if invocation.config else "runtime"
        logger = step_logger(name, invocation.trace_id)
        return InvocationContext(invocation, self.store, logger, now_ms=self.now_ms)

    async def _commit(self, ctx: InvocationContext, done: Claim | None) -> None:
        transaction = ctx.transaction
        if transaction.is_one_read and done is None:
            return
        commit = transaction.as_commit(done)
        for emission in transaction.emissions:
            commit.deliveries.extend(self._route(emission, ctx.trace_id))
        await self.store.commit(commit)
        for step in {delivery.step for delivery in commit.deliveries}:
            if wake := self._wakers.get(step):
                wake()
        for observe in self._observers:
            for emission in transaction.emissions:
                observe(emission.topic, values.decode(emission.payload))

    def _route(self, emission: Emission, trace_id: str) -> list[NewDelivery]:
        due_at = self.now_ms() + round(emission.delay_s * 1000)
        return [
            NewDelivery(step, emission.topic, emission.payload, due_at, trace_id, emission.id)
            for step in self._subscribers_of(emission.topic)
        ]

    def _subscribers_of(self, topic: str) -> list[str]:
        known = self._subscribers.get(topic)
        if known is None:
            known = [name for name, step in self.steps.items() if _subscribes(step.config, topic)]
            if len(self._subscribers) < _MAX_KNOWN_TOPICS:
                self._subscribers[topic] = known
        return known


def new_trace_id() -> str:
    """Return a new W3C trace id."""
    return secrets.token_hex(16)


def _subscribes(config: StepConfig, topic: str) -> bool:
    return config.type == "event" and any(matches(p, topic) for p in config.subscribes)


async def _keep_nothing(_name: str, _result: object) -> None:
    """Record nothing: an invocation that is not retried needs its journal only in memory."""
