"""Handle events: each event step has a lane that claims its due deliveries and runs them.

A process that dies gives its deliveries back when their leases run out.
"""

import anyio
import structlog
from anyio.abc import TaskGroup

from tidegate.contract import Step
from tidegate.engine.engine import Engine
from tidegate.engine.handling import Handling
from tidegate.errors import StoreAway
from tidegate.store.port import Delivery

_LOOK_AGAIN_S = 1.0
_STORE_AWAY_WAIT_S = 1.0

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
        self._handling = Handling(engine, step)
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
        claimed = await self._handling.claim(self._free)
        self._free -= len(claimed)
        for delivery in claimed:
            tasks.start_soon(self._handle, delivery)
        return len(claimed)

    async def _wait_s(self) -> float:
        """Return how long to sleep unless woken: to the next due one, else a look now and then."""
        due_ms = await self._handling.next_due_ms()
        if due_ms is None or not self._free:
            return _LOOK_AGAIN_S
        return min(_LOOK_AGAIN_S, max(0.0, (due_ms - self._engine.now_ms()) / 1000))

    async def _handle(self, delivery: Delivery) -> None:
        try:
            await self._handling.handle(delivery)
        finally:
            self._free += 1
            self._wake_up()
