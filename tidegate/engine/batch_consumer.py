"""Gather the deliveries of a batch step until a list is full or has waited long enough."""

from collections import deque
from collections.abc import Iterator

import anyio
import structlog
from anyio.abc import TaskGroup

from tidegate.contract import Batch, Step
from tidegate.engine.batches import Batches
from tidegate.engine.claims import Claims
from tidegate.engine.engine import Engine
from tidegate.engine.handling import Handling
from tidegate.engine.pointers import Pointer
from tidegate.errors import TidegateError
from tidegate.store.model import Claim, Delivery

_LOOK_AGAIN_S = 1.0
_STORE_AWAY_WAIT_S = 1.0
_MAX_OPEN_LISTS = 16

log = structlog.get_logger()


class Gathering:
    """Lists that are filling, one for each key."""

    def __init__(self, batch: Batch) -> None:
        self._size = batch.size
        self._wait_s = batch.wait
        self._key = Pointer(batch.key) if batch.key else None
        self._open: dict[str, list[Delivery]] = {}
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many deliveries wait in lists."""
        return sum(map(len, self._open.values()))

    def add(self, delivery: Delivery, data: object, now_s: float) -> list[Delivery] | None:
        """Put a delivery into its list; return the list when it is full now."""
        key = (self._key.text_in(data) or "") if self._key else ""
        waiting = self._open.setdefault(key, [])
        self._until.setdefault(key, now_s + self._wait_s)
        waiting.append(delivery)
        return self._close(key) if len(waiting) >= self._size else None

    def overdue(self, now_s: float) -> Iterator[list[Delivery]]:
        """Yield the lists that have waited long enough, also when there are too many of them."""
        for key in sorted(self._until, key=self._until.__getitem__):
            if self._until[key] <= now_s or len(self._open) > _MAX_OPEN_LISTS:
                yield self._close(key)

    def close_all(self) -> list[list[Delivery]]:
        """Return all lists, however long they have waited."""
        return [self._close(key) for key in list(self._open)]

    def next_at_s(self) -> float | None:
        """Return when the next list has waited long enough."""
        return min(self._until.values(), default=None)

    def _close(self, key: str) -> list[Delivery]:
        del self._until[key]
        return self._open.pop(key)


class BatchConsumer:
    """The intake of one batch step; see `tidegate.engine.intakes.Intake`."""

    def __init__(self, engine: Engine, step: Step, batch: Batch) -> None:
        self._claims = Claims(engine, step)
        self._handling = Handling(engine, step)
        self._batches = Batches(engine, self._handling)
        self._gathering = Gathering(batch)
        self._ready: deque[list[Delivery]] = deque()
        self._size = batch.size
        self._free = step.config.concurrency
        self._held: dict[Claim, Delivery] = {}
        self._places = step.config.concurrency
        self._draining = False
        self._wake = anyio.Event()
        self._idle = anyio.Event()
        engine.take_in(step.config.name, self)

    def reserve(self) -> None:
        """Leave every event to the store: lists are claimed."""

    def give_back(self) -> None:
        """Do nothing: nothing is reserved."""

    def take(self, delivery: Delivery) -> None:
        """Do nothing: nothing is handed over."""

    def wake(self) -> None:
        """Look into the store."""
        self._wake.set()

    async def drain(self) -> None:
        """Take nothing more, give back the lists that have not begun, and wait for the others."""
        self._draining = True
        waiting, self._ready = [*self._ready, *self._gathering.close_all()], deque()
        for batch in waiting:
            for delivery in batch:
                del self._held[delivery.claim]
                await self._claims.give_back(delivery, 0.0)
        while self._free < self._places:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def release(self) -> None:
        """Give up the leases of what was broken off."""
        await self._claims.let_go(self._claims_held())

    async def run(self) -> None:
        """Claim, gather and handle until cancelled; what is cancelled half-way stays undone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._claims.renew_forever, self._claims_held)
            while not self._draining:
                wake = self._wake = anyio.Event()
                try:
                    claimed = await self._gather(tasks)
                    wait_s = 0.0 if claimed else await self._wait_s()
                except TidegateError as exc:
                    log.warning("store.away", step=self._claims.name, reason=str(exc))
                    wait_s = _STORE_AWAY_WAIT_S
                with anyio.move_on_after(wait_s):
                    await wake.wait()

    async def _gather(self, tasks: TaskGroup) -> int:
        """Claim what one more list can hold; start what is full or overdue, if there is room.

        While lists wait for room nothing more is claimed: other processes may have some.
        """
        claimed: list[Delivery] = []
        if self._free > 0 and not self._ready:
            claimed = await self._claims.claim(self._size)
        for delivery in claimed:
            self._held[delivery.claim] = delivery
            data = self._handling.plain_input_of(delivery)
            full = self._gathering.add(delivery, data, anyio.current_time())
            if full is not None:
                self._ready.append(full)
        self._ready.extend(self._gathering.overdue(anyio.current_time()))
        while self._ready and self._free > 0:
            self._free -= 1
            tasks.start_soon(self._handle, self._ready.popleft())
        return len(claimed)

    async def _handle(self, batch: list[Delivery]) -> None:
        try:
            await self._batches.handle(batch)
            for delivery in batch:
                self._held.pop(delivery.claim, None)
        finally:
            self._free += 1
            self._idle.set()
            self._wake.set()

    async def _wait_s(self) -> float:
        overdue_at = self._gathering.next_at_s()
        until_overdue = _LOOK_AGAIN_S if overdue_at is None else overdue_at - anyio.current_time()
        longest = max(0.0, min(_LOOK_AGAIN_S, until_overdue))
        return await self._claims.sleep_s(longest) if self._free > 0 else longest

    def _claims_held(self) -> list[Claim]:
        return list(self._held)
