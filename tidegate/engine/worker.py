"""Handle events: each event step has a lane that claims its due deliveries and runs them.

A delivery is leased for longer than its handler may run; a process that dies gives its
deliveries back when their leases run out. A failure is retried by the step's policy, then
dead-lettered; every outcome is counted.
"""

import traceback

import anyio
import structlog
from anyio.abc import TaskGroup
from prometheus_client import Counter

from tidegate.contract import Step
from tidegate.engine import values
from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine
from tidegate.engine.retry import delay_s
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import LeaseLost, NonRetriable, RetryAfter, StoreAway, UndeclaredEmit
from tidegate.store.port import Claim, Delivery

_LEASE_BEYOND_TIMEOUT_S = 15.0
_LOOK_AGAIN_S = 1.0
_STORE_AWAY_WAIT_S = 1.0
_HOPELESS = (NonRetriable, InvalidData, UndeclaredEmit)

_handled = Counter("tidegate_events_handled_total", "Events by outcome", ["step", "outcome"])
log = structlog.get_logger()


class Worker:
    """Runs the event steps of an engine until cancelled."""

    def __init__(self, engine: Engine) -> None:
        events = [step for step in engine.steps.values() if step.config.type == "event"]
        self._lanes = [_Lane(engine, step) for step in events]

    async def run(self) -> None:
        """Handle events until cancelled; what is cancelled half-way stays undone."""
        async with anyio.create_task_group() as tasks:
            for lane in self._lanes:
                tasks.start_soon(lane.run)


class _Lane:
    """One event step: its free places and its waiting deliveries."""

    def __init__(self, engine: Engine, step: Step) -> None:
        self._engine = engine
        self._step = step
        self._checker = Checker(step.config.input)
        self._free = step.config.concurrency
        self._wake = anyio.Event()
        engine.on_delivery(step.config.name, self._wake_up)

    async def run(self) -> None:
        """Claim and handle until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                wake = self._wake = anyio.Event()
                try:
                    claimed = await self._start_due(tasks)
                    wait_s = 0.0 if claimed and self._free else await self._wait_s()
                except StoreAway as exc:
                    log.warning("store.away", step=self._step.config.name, reason=str(exc))
                    wait_s = _STORE_AWAY_WAIT_S
                with anyio.move_on_after(wait_s):
                    await wake.wait()

    def _wake_up(self) -> None:
        self._wake.set()

    async def _start_due(self, tasks: TaskGroup) -> int:
        if not self._free:
            return 0
        config = self._step.config
        now_ms = self._engine.now_ms()
        lease_until = now_ms + round((config.timeout + _LEASE_BEYOND_TIMEOUT_S) * 1000)
        claimed = await self._engine.store.claim(
            config.name, limit=self._free, now_ms=now_ms, lease_until_ms=lease_until
        )
        self._free -= len(claimed)
        for delivery in claimed:
            tasks.start_soon(self._handle, delivery)
        return len(claimed)

    async def _wait_s(self) -> float:
        """Return how long to sleep unless woken: to the next due one, else a look now and then."""
        due_ms = await self._engine.store.next_due_ms([self._step.config.name])
        if due_ms is None or not self._free:
            return _LOOK_AGAIN_S
        return min(_LOOK_AGAIN_S, max(0.0, (due_ms - self._engine.now_ms()) / 1000))

    async def _handle(self, delivery: Delivery) -> None:
        """Run one delivery to its fate. The one supervisor of foreign handlers' errors."""
        name = self._step.config.name
        try:
            with anyio.fail_after(self._step.config.timeout):
                await self._run(delivery)
            _handled.labels(name, "done").inc()
        except LeaseLost:
            _handled.labels(name, "lease_lost").inc()
        except Exception as exc:  # noqa: BLE001 - a handler is foreign code
            await self._failed(delivery, exc)
        finally:
            self._free += 1
            self._wake_up()

    async def _run(self, delivery: Delivery) -> None:
        claim = Claim(delivery.id, delivery.attempt)

        async def record(key: str, result: object) -> None:
            await self._engine.store.record(claim, key, values.encode(result))

        invocation = Invocation(
            self._step.config,
            delivery.trace_id,
            delivery.attempt,
            f"{self._step.config.name}-{delivery.id}",
            {key: values.decode(result) for key, result in delivery.journal.items()},
            record,
        )
        data = self._checker.check(values.decode(delivery.payload))
        await self._engine.invoke(self._step, invocation, data, done=claim)

    async def _failed(self, delivery: Delivery, exc: Exception) -> None:
        name = self._step.config.name
        wait_s = None if isinstance(exc, _HOPELESS) else self._retry_wait_s(delivery, exc)
        try:
            if wait_s is None:
                await self._bury(delivery, exc)
            else:
                due_at = self._engine.now_ms() + round(wait_s * 1000)
                claim = Claim(delivery.id, delivery.attempt)
                await self._engine.store.retry(claim, due_at_ms=due_at)
        except (StoreAway, LeaseLost) as away:
            log.warning("event.left_to_lease", step=name, reason=str(away))
            return
        outcome = "dead" if wait_s is None else "retried"
        _handled.labels(name, outcome).inc()
        facts = {"step": name, "attempt": delivery.attempt, "error": _text(exc)}
        log.warning("event.failed", outcome=outcome, **facts)

    def _retry_wait_s(self, delivery: Delivery, exc: Exception) -> float | None:
        wait_s = delay_s(self._step.config.retry, delivery.attempt, self._engine.rng)
        if isinstance(exc, RetryAfter) and wait_s is not None:
            return max(wait_s, exc.seconds)
        return wait_s

    async def _bury(self, delivery: Delivery, exc: Exception) -> None:
        stack = "".join(traceback.format_exception(exc))
        now_ms = self._engine.now_ms()
        await self._engine.store.bury(delivery, error=_text(exc), stack=stack, now_ms=now_ms)


def _text(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}"
