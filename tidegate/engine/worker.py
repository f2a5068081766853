"""Run the parts of an engine that work without being asked: events, lapses, notifications."""

from collections.abc import Collection

import anyio
import structlog

from tidegate.contract import Step, StepType
from tidegate.engine.batch_consumer import BatchConsumer
from tidegate.engine.consumer import Consumer
from tidegate.engine.engine import Engine
from tidegate.engine.lapses import Lapses
from tidegate.engine.waits import waits_step, with_topic
from tidegate.errors import StoreAway

_STORE_AWAY_WAIT_S = 1.0

log = structlog.get_logger()


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
