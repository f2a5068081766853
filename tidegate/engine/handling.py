"""Take one delivery of an event step to its fate: done, to be tried again, or dead.

A delivery is leased for longer than its handler may run, so that nobody else takes it meanwhile.
A failure is retried by the step's policy, then dead-lettered; every outcome is counted.
"""

import traceback

import anyio
import structlog
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
_HOPELESS = (NonRetriable, InvalidData, UndeclaredEmit)

_handled = Counter("tidegate_events_handled_total", "Events by outcome", ["step", "outcome"])
log = structlog.get_logger()


class Handling:
    """Claims and handles the deliveries of one event step, on the engine's clock."""

    def __init__(self, engine: Engine, step: Step) -> None:
        self._engine = engine
        self._step = step
        self._checker = Checker(step.config.input)

    async def claim(self, limit: int) -> list[Delivery]:
        """Lease at most `limit` due deliveries, oldest first; raise `StoreAway`."""
        config = self._step.config
        now_ms = self._engine.now_ms()
        lease_until = now_ms + round((config.timeout + _LEASE_BEYOND_TIMEOUT_S) * 1000)
        return await self._engine.store.claim(
            config.name, limit=limit, now_ms=now_ms, lease_until_ms=lease_until
        )

    async def next_due_ms(self) -> int | None:
        """Return when the step's next delivery is due, None when it has none."""
        return await self._engine.store.next_due_ms([self._step.config.name])

    async def handle(self, delivery: Delivery) -> None:
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
