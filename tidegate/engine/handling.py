"""Take the deliveries of one step to their fate: done, suspended, to be tried again, or dead.

A failure is retried by the step's policy, then dead-lettered; every outcome is counted.
"""

import asyncio
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Any

import structlog
from prometheus_client import Counter

from tidegate.contract import Step
from tidegate.engine import values
from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine
from tidegate.engine.journal import DeliveryJournal, Suspended
from tidegate.engine.retry import delay_s
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import LeaseLost, NonRetriable, RetryAfter, UndeclaredEmit
from tidegate.store.model import Delivery

# So often a run may end with its process before its event is given up: many, since the events that
# are under way beside the one that ends the process are begun as often.
_LOST_RUNS = 100
_HOPELESS = (NonRetriable, InvalidData, UndeclaredEmit)

_handled = Counter("tidegate_events_handled_total", "Events by outcome", ["step", "outcome"])
log = structlog.get_logger()


Decode = Callable[[Delivery], Any]


def payload_of(delivery: Delivery) -> Any:
    """Return the data of a delivered event."""
    return values.decode(delivery.payload)


class Handling:
    """Handles the deliveries of one step, one by one."""

    def __init__(self, engine: Engine, step: Step, *, decode: Decode = payload_of) -> None:
        self.step = step
        self.name = step.config.name
        self._engine = engine
        self._store = engine.store
        self.plain_input_of = decode
        self._checker = Checker(step.config.input)
        self._done = _handled.labels(self.name, "done")

    async def handle(self, delivery: Delivery) -> bool:
        """Run one delivery to its fate; True when it is done, False when it is in the store.

        The one supervisor of foreign handlers' errors.
        """
        if delivery.attempt > self.step.config.retry.attempts + _LOST_RUNS:
            # Nobody lived to count its failures: it ends its process, or never ends itself.
            await self.failed(
                delivery, NonRetriable(f"begun {delivery.attempt - 1} times, never ended")
            )
            return False
        try:
            # Of asyncio: a cancel scope of anyio costs four times as much, for every event.
            async with self._engine.place_of(self.step), asyncio.timeout(self.step.config.timeout):
                await self._run(delivery)
        except LeaseLost:
            self.count("lease_lost")
        except Suspended:
            self.count("suspended")
        except Exception as exc:  # noqa: BLE001 - a handler is foreign code
            await self.failed(delivery, exc)
        else:
            self._done.inc()
            return True
        return False

    async def _run(self, delivery: Delivery) -> None:
        journal = DeliveryJournal(self._store, delivery)
        key = f"{self.name}-{delivery.id}"
        until_s = monotonic() + self.step.config.timeout
        invocation = Invocation(
            self.step.config, delivery.trace_id, delivery.attempt, key, journal, until_s
        )
        data = self.input_of(delivery)
        await self._engine.invoke(self.step, invocation, data, done=(journal.claim,))

    def input_of(self, delivery: Delivery) -> Any:
        """Return what the handler gets; raise `InvalidData` when it does not fit the schema.

        What runs in a process of its own gets its Struct or model there: it is sent as it came.
        """
        plain = self.plain_input_of(delivery)
        checked = self._checker.check(plain)
        return plain if self.step.config.execution == "process" else checked

    async def failed(self, delivery: Delivery, exc: Exception) -> None:
        """Retry or bury a delivery whose run has failed."""
        wait_s = None if isinstance(exc, _HOPELESS) else self._retry_wait_s(delivery, exc)
        try:
            if wait_s is None:
                await self._bury(delivery, exc)
            else:
                due_at = self._engine.now_ms() + round(wait_s * 1000)
                await self._store.retry(delivery.claim, due_at_ms=due_at)
        except Exception as unkept:  # noqa: BLE001 - an event's own failure must not end the worker
            log.warning("event.left_to_lease", step=self.name, reason=_text(unkept))
            return
        outcome = "dead" if wait_s is None else "retried"
        self.count(outcome)
        facts = {"step": self.name, "attempt": delivery.attempt, "error": _text(exc)}
        log.warning("event.failed", outcome=outcome, **facts)

    def _retry_wait_s(self, delivery: Delivery, exc: Exception) -> float | None:
        wait_s = delay_s(self.step.config.retry, delivery.attempt, self._engine.rng)
        if isinstance(exc, RetryAfter) and wait_s is not None:
            return max(wait_s, exc.seconds)
        return wait_s

    async def _bury(self, delivery: Delivery, exc: Exception) -> None:
        stack = "".join(traceback.format_exception(exc))
        now_ms = self._engine.now_ms()
        await self._store.bury(delivery, error=_text(exc), stack=stack, now_ms=now_ms)

    def count(self, outcome: str, events: int = 1) -> None:
        """Count events by what became of them."""
        _handled.labels(self.name, outcome).inc(events)


def _text(exc: BaseException) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 - foreign errors may not even have a text
        return type(exc).__name__
