"""Run the parts of an engine that work without being asked: events, lapses, notifications."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
import structlog

from tidegate.contract import Step, StepType
from tidegate.engine.batch_consumer import BatchConsumer
from tidegate.engine.consumer import Consumer
from tidegate.engine.engine import Engine
from tidegate.engine.lapses import Lapses
from tidegate.engine.waits import waits_step, with_topic
from tidegate.errors import StoreAway

GRACE_S = 3.0
_RELEASE_S = 1.0
_STORE_AWAY_WAIT_S = 1.0

log = structlog.get_logger()


@asynccontextmanager
async def working(worker: "Worker", *, grace_s: float = GRACE_S) -> AsyncIterator[None]:
    """Run a worker while the context is open.

    On leaving it takes nothing more, and gives what is under way `grace_s` to end; what has not
    ended by then is broken off and given back, for anybody to take at once.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await worker.drain(grace_s)
            tasks.cancel_scope.cancel()
    with anyio.move_on_after(_RELEASE_S, shield=True):
        await worker.release()


class Worker:
    """Handles the events of an engine's steps of some types until cancelled.

    Events of other types, and of steps that are not loaded, wait in the store.
    """

    def __init__(
        self, engine: Engine, types: Collection[StepType] = ("event", "mqtt", "cron")
    ) -> None:
        self._engine = engine
        self._consumers = [
            _consumer(engine, step) for step in engine.steps.values() if step.config.type in types
        ]
        self._lapses: Lapses | None = None
        if "event" in types:
            self._lapses = Lapses(engine)
            self._consumers.append(Consumer(engine, waits_step(engine), decode=with_topic))

    async def run(self) -> None:
        """Work until cancelled; what is cancelled half-way stays undone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            if self._lapses is not None:
                tasks.start_soon(self._lapses.run)
            for consumer in self._consumers:
                tasks.start_soon(consumer.run)

    async def drain(self, grace_s: float) -> None:
        """Take nothing more, and wait up to `grace_s` for what is under way.

        What is not done by then is broken off and given back when `run` is cancelled next.
        """
        with anyio.move_on_after(grace_s):
            async with anyio.create_task_group() as tasks:
                for consumer in self._consumers:
                    tasks.start_soon(consumer.drain)

    async def release(self) -> None:
        """Give back what was broken off; after `run` has ended."""
        for consumer in self._consumers:
            await consumer.release()

    async def _watch(self) -> None:
        """Be told of events that other processes commit."""
        while True:
            try:
                await self._engine.store.watch(self._engine.wake)
            except StoreAway as exc:
                log.warning("store.away", part="watch", reason=str(exc))
            await anyio.sleep(_STORE_AWAY_WAIT_S)


def _consumer(engine: Engine, step: Step) -> Consumer | BatchConsumer:
    batch = step.config.batch
    return Consumer(engine, step) if batch is None else BatchConsumer(engine, step, batch)
