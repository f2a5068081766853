"""The deliveries of one step for a test: claimed and handled when the test's timeline says so."""

from collections.abc import Sequence
from typing import Protocol

import anyio

from tidegate.contract import Step
from tidegate.engine.batches import Batches
from tidegate.engine.claims import Claims
from tidegate.engine.engine import Engine
from tidegate.engine.handling import Decode, Handling, payload_of
from tidegate.engine.pointers import Pointer
from tidegate.engine.waits import waits_step, with_topic
from tidegate.store.model import Delivery
from tidegate.testing.faults import Faults

_CHOICE = 8


class Outlet(Protocol):
    """Runs what is due of one step."""

    async def next_due_ms(self) -> int | None:
        """Return when the next delivery may begin, None when there is none."""
        ...

    async def run_next(self) -> None:
        """Run the delivery, or the list of them, that is due first."""
        ...


class OneByOne:
    """An outlet of single events."""

    def __init__(
        self, engine: Engine, step: Step, faults: Faults, *, decode: Decode = payload_of
    ) -> None:
        self._claims = Claims(engine, step)
        self._handling = Handling(engine, step, decode=decode)
        self._faults = faults

    async def next_due_ms(self) -> int | None:
        """Return when the next delivery may begin."""
        return await self._claims.next_due_ms()

    async def run_next(self) -> None:
        """Run the delivery that is due first."""
        claimed = await self._claims.claim(1 if self._faults.order is None else _CHOICE)
        if self._faults.order is not None:
            self._faults.order.shuffle(claimed)
        for delivery in claimed[1:]:
            await self._claims.give_back(delivery, 0.0)
        for delivery in claimed[:1]:
            await self._handle(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        if not self._faults.takes_duplicate(delivery.step):
            await self._handling.handle(delivery)
            return
        async with anyio.create_task_group() as workers:
            for _ in range(2):
                mine = delivery._replace(journal=dict(delivery.journal))
                workers.start_soon(self._handling.handle, mine)


class InLists:
    """An outlet of a batch step: what is due comes in one list for each key; no waiting."""

    def __init__(self, engine: Engine, step: Step, *, size: int, key: str) -> None:
        self._claims = Claims(engine, step)
        self._handling = Handling(engine, step)
        self._batches = Batches(engine, self._handling)
        self._size = size
        self._key = Pointer(key) if key else None

    async def next_due_ms(self) -> int | None:
        """Return when the next delivery may begin."""
        return await self._claims.next_due_ms()

    async def run_next(self) -> None:
        """Run what is due, up to the size of a list."""
        by_key: dict[str | None, list[Delivery]] = {}
        for delivery in await self._claims.claim(self._size):
            data = self._handling.plain_input_of(delivery)
            key = self._key.text_in(data) if self._key else None
            by_key.setdefault(key, []).append(delivery)
        for batch in by_key.values():
            await self._batches.handle(batch)


def outlets_of(engine: Engine, faults: Faults) -> Sequence[Outlet]:
    """Return an outlet for every step that handles deliveries."""
    steps = [
        step for step in engine.steps.values() if step.config.type in ("event", "cron", "mqtt")
    ]
    waits = OneByOne(engine, waits_step(engine), faults, decode=with_topic)
    return [*(_outlet(engine, step, faults) for step in steps), waits]


def _outlet(engine: Engine, step: Step, faults: Faults) -> Outlet:
    batch = step.config.batch
    if batch is None:
        return OneByOne(engine, step, faults)
    return InLists(engine, step, size=batch.size, key=batch.key)
