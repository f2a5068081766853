"""The engine: runs handlers as transactions, routes emissions to steps, commits, re-runs.

A run reads from the store, buffers what it writes and emits, and ends in one commit. When what
it read has changed meanwhile the handler runs again, from its top, on fresh reads.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from random import Random
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import anyio
from prometheus_client import Counter

from tidegate.contract import Context, Step
from tidegate.engine.committing import Committer, Observer
from tidegate.engine.contention import Contention, Place
from tidegate.engine.context import Invocation, InvocationContext, Surroundings
from tidegate.engine.foreign import call_foreign
from tidegate.engine.ids import new_key, new_trace_id
from tidegate.engine.intakes import Intake, Intakes
from tidegate.engine.journal import DeliveryJournal, MemoryJournal, Suspended
from tidegate.engine.plain_calls import PlainCalls
from tidegate.engine.process.pool import ProcessPool
from tidegate.engine.routing import Router
from tidegate.errors import Conflict, LeaseLost, Misconfigured
from tidegate.store.model import Claim, Commit
from tidegate.store.port import Store
from tidegate.streams.hub import Hub

MAX_RUNS = 64
_CONFLICT_WAIT_S = 0.02
_MAX_THREADS = 32

_reruns = Counter("tidegate_conflict_reruns_total", "Runs repeated because a value was changed")

T = TypeVar("T")
NowMs = Callable[[], int]
Ended = tuple[Claim, ...] | Callable[[Any], tuple[Claim, ...]]


class Ends(NamedTuple):
    """What an invocation's commit ends beside what the handler changes."""

    done: Ended
    lapsed: tuple[int, ...]


class Engine:
    """Steps, their resources, the store and the clock."""

    def __init__(
        self,
        steps: list[Step],
        store: Store,
        *,
        now_ms: NowMs,
        rng: Random,
        hub: Hub | None = None,
    ) -> None:
        self.steps = {step.config.name: step for step in steps}
        self.store = store
        self.now_ms = now_ms
        self.rng = rng
        self.hub = hub or Hub(store)
        self._intakes = Intakes()
        self.router = Router(self.steps)
        self._committer = Committer(store, self.router, self._intakes, self.hub)
        self._contention = Contention()
        self._surroundings = Surroundings(store, now_ms, self.hub, self._contention)
        self._resources: dict[str, object] = {}
        self._threads = PlainCalls(_MAX_THREADS)
        self.processes = ProcessPool()

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

    async def transact(
        self, fn: Callable[[Context], Awaitable[T]], *, lapsed: tuple[int, ...] = ()
    ) -> T:
        """Run a function in a transaction of its own; it may run several times.

        `lapsed` are lapsed values whose end is part of the commit.
        """
        invocation = Invocation(None, new_trace_id(), 1, new_key(), MemoryJournal())
        return await self._in_transaction(invocation, fn, lapsed=lapsed)

    async def invoke(
        self,
        step: Step,
        invocation: Invocation,
        input_data: object = None,
        *,
        done: Ended = (),
        call: Callable[[Context], Awaitable[Any]] | None = None,
    ) -> Any:
        """Run a step once, from reading to commit; returns what its handler returned.

        Args:
            step: the step.
            invocation: who it is over all its runs.
            input_data: the handler's input.
            done: the deliveries whose end is part of the commit, or a function that returns
                them for what the handler has returned.
            call: what to run instead of the plain handler (middleware around it).

        Raises:
            Suspended: the handler came to a durable wait; what it did before is committed.
        """
        run = call or (lambda ctx: self.call_handler(step, input_data, ctx))
        return await self._in_transaction(invocation, run, done=done)

    async def call_handler(self, step: Step, input_data: object, ctx: Context) -> Any:
        """Call a handler in the form it has: (input, ctx), (ctx) or ()."""
        if step.config.execution == "process" and isinstance(ctx, InvocationContext):
            return await self.processes.call(step, input_data, ctx)
        only_ctx = step.takes == 1 and step.config.type == "cron"
        arguments = (ctx,) if only_ctx else (input_data, ctx)[: step.takes]
        resources = {name: self._resources[name] for name in step.resources}
        if step.is_async:
            return await step.handler(*arguments, **resources)
        result = await self._threads.run(lambda: step.handler(*arguments, **resources))
        # A decorator may have hidden that the handler is async.
        return await result if inspect.isawaitable(result) else result

    def place_of(self, step: Step) -> AbstractAsyncContextManager[None]:
        """Return a context that waits for what a handler's run takes: one of few processes."""
        return self.processes.places if step.config.execution == "process" else nullcontext()

    async def redrive(self, dead_ids: Sequence[int] | None) -> int:
        """Make dead events due again (None: all of them); returns how many."""
        redriven = await self.store.redrive(dead_ids, self.now_ms())
        self.wake(None)
        return redriven

    async def aclose(self) -> None:
        """End the processes of handlers that run in their own."""
        await self.processes.aclose()

    def take_in(self, step: str, intake: Intake) -> None:
        """Handle the events of a step in this process."""
        self._intakes.add(step, intake)

    def wake(self, step: str | None) -> None:
        """Look for deliveries of a step, or of every step that this process handles."""
        self._intakes.wake(step)

    def on_emitted(self, observe: Observer) -> None:
        """Call `observe(topic, data)` for every event that this process commits.

        Also for one that no step subscribes to, or whose `id` was emitted before.
        """
        self._committer.on_emitted(observe)

    async def _in_transaction(
        self,
        invocation: Invocation,
        run: Callable[[Context], Awaitable[T]],
        *,
        done: Ended = (),
        lapsed: tuple[int, ...] = (),
    ) -> T:
        ends = Ends(done, lapsed)
        try:
            return await self._run_and_commit(invocation, run, ends)
        except LeaseLost:
            raise
        except Conflict as conflict:
            return await self._run_again(invocation, run, ends, conflict.place)

    async def _run_again(
        self,
        invocation: Invocation,
        run: Callable[[Context], Awaitable[T]],
        ends: Ends,
        lost: Place | None,
    ) -> T:
        """Repeat a run that lost a value; who had changed it queues for it."""
        for runs in range(2, MAX_RUNS + 1):
            _reruns.inc()
            if lost is None or runs > 2:  # noqa: PLR2004 - another process is faster
                await anyio.sleep(self.rng.uniform(0, _CONFLICT_WAIT_S * min(runs, 8)))
            try:
                return await self._run_and_commit(invocation, run, ends, lost=lost)
            except LeaseLost:
                raise
            except Conflict as conflict:
                if runs == MAX_RUNS:
                    raise
                lost = conflict.place
        raise AssertionError

    async def _run_and_commit(
        self,
        invocation: Invocation,
        run: Callable[[Context], Awaitable[T]],
        ends: Ends,
        *,
        lost: Place | None = None,
    ) -> T:
        ctx = InvocationContext(invocation, self._surroundings)
        ctx.turn.begin()
        try:
            if lost is not None:
                await ctx.turn.take(lost)
            return await self._run_in(ctx, invocation, run, ends)
        except Conflict as conflict:
            ctx.discard()
            if conflict.place not in ctx.transaction.writes:
                # Who only reads a value does not queue for it.
                conflict.place = None
            raise
        except BaseException:
            ctx.discard()
            raise
        finally:
            ctx.turn.end()
            ctx.transaction.close()

    async def _run_in(
        self,
        ctx: InvocationContext,
        invocation: Invocation,
        run: Callable[[Context], Awaitable[T]],
        ends: Ends,
    ) -> T:
        try:
            result = await call_foreign(run, ctx)
        except Suspended as pause:
            await self._suspend(ctx, invocation, pause)
            raise
        transaction = ctx.transaction
        if monotonic() >= invocation.until_s:
            # A handler that swallows its cancellation must not commit after all.
            raise TimeoutError
        done = ends.done(result) if callable(ends.done) else ends.done
        if transaction.is_one_read and not done and not ends.lapsed:
            return result
        if invocation.can_rerun and ctx.turn.place is None and ctx.turn.may_queue:
            changed = (place for place in transaction.writes if place in transaction.reads)
            if hot := self._contention.contended(changed):
                raise Conflict("somebody queues for what is to be changed", hot)
        await self._commit(ctx, Commit(now_ms=self.now_ms(), done=done, lapsed=ends.lapsed))
        return result

    async def _suspend(
        self, ctx: InvocationContext, invocation: Invocation, pause: Suspended
    ) -> None:
        journal = invocation.journal
        if monotonic() >= invocation.until_s:
            raise TimeoutError
        if isinstance(journal, DeliveryJournal):
            suspension = pause.suspension(journal.claim)
            await self._commit(ctx, Commit(now_ms=self.now_ms(), suspension=suspension))

    async def _commit(self, ctx: InvocationContext, commit: Commit) -> None:
        await self._committer.commit(ctx.transaction, commit, ctx.trace_id)
