"""Handle the deliveries of one step in this process, as they come or in batches.

New events are handed over by the commit that emits them, when there is room, already leased;
everything else is claimed from the store: what waits there, retries, delayed ones, and what a
process that died has held. Leases are renewed for as long as this process works on them.
"""

from collections import Counter as Tally
from collections import deque

import anyio
import structlog
from anyio.abc import TaskGroup

from tidegate.contract import Step
from tidegate.engine.claims import Claims
from tidegate.engine.contention import begin_anew
from tidegate.engine.engine import Engine
from tidegate.engine.handling import Decode, Handling, payload_of
from tidegate.engine.pointers import Pointer
from tidegate.errors import TidegateError
from tidegate.store.model import Claim, Delivery

_LOOK_AGAIN_S = 1.0
_STORE_AWAY_WAIT_S = 1.0
_MAX_HANDED = 256
_KEY_BUSY_WAIT_S = 0.1

log = structlog.get_logger()


class Consumer:
    """The intake of one step; see `tidegate.engine.intakes.Intake`."""

    def __init__(self, engine: Engine, step: Step, *, decode: Decode = payload_of) -> None:
        config = step.config
        self._claims = Claims(engine, step)
        self._handling = Handling(engine, step, decode=decode)
        self._places = config.concurrency
        self._running = 0
        self._reserved = 0
        self._queue: deque[Delivery] = deque()
        self._held: dict[Claim, Delivery] = {}
        self._keys = _BusyKeys(config.concurrency_key, config.key_concurrency)
        # Rates and keys are judged at the claim: then nothing is handed over.
        self._takes_over = config.rate_limit is None and not config.concurrency_key
        self._behind = True
        self._wake = anyio.Event()
        self._idle = anyio.Event()
        self._tasks: TaskGroup | None = None
        engine.take_in(config.name, self)

    def reserve(self) -> int | None:
        """Return until when a new event is leased, None when the store is to keep it."""
        handed = self._reserved + len(self._queue)
        if self._behind or not self._takes_over or handed >= _MAX_HANDED or self._tasks is None:
            self._behind = True
            return None
        self._reserved += 1
        return self._claims.lease_until_ms()

    def give_back(self) -> None:
        """Free a reservation that came to nothing."""
        self._reserved -= 1

    def take(self, delivery: Delivery) -> None:
        """Handle a delivery for which a place was reserved."""
        self._reserved -= 1
        self._start(delivery)

    def wake(self) -> None:
        """Look into the store."""
        self._behind = True
        self._wake.set()

    async def drain(self) -> None:
        """Take nothing more, give back what has not begun, and wait for what is under way."""
        self._tasks = None
        waiting, self._queue = self._queue, deque()
        for delivery in waiting:
            del self._held[delivery.claim]
            await self._claims.give_back(delivery, 0.0)
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def release(self) -> None:
        """Give up the leases of what was broken off: somebody else may take it at once."""
        await self._claims.let_go(self._claims_held())

    async def run(self) -> None:
        """Claim and handle until cancelled; what is cancelled half-way stays undone."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._claims.renew_forever, self._claims_held)
            while self._tasks is not None:
                wake = self._wake = anyio.Event()
                try:
                    wait_s = await self._claim_some()
                except TidegateError as exc:
                    log.warning("store.away", step=self._claims.name, reason=str(exc))
                    wait_s = _STORE_AWAY_WAIT_S
                with anyio.move_on_after(wait_s):
                    await wake.wait()

    async def _claim_some(self) -> float:
        """Claim what there is room for; returns how long to sleep unless woken."""
        room = 2 * self._places - len(self._held)
        if room < max(1, self._places // 2):
            return _LOOK_AGAIN_S
        if not self._behind and (sleep_s := await self._claims.sleep_s(_LOOK_AGAIN_S)) > 0:
            return sleep_s
        # Set before the claim: who commits meanwhile sets it again, or hands over.
        self._behind = False
        claimed = await self._claims.claim(room)
        for delivery in claimed:
            await self._start_if_free(delivery)
        if len(claimed) == room:
            self._behind = True
            return _LOOK_AGAIN_S
        return 0.0 if self._behind else await self._claims.sleep_s(_LOOK_AGAIN_S)

    async def _start_if_free(self, delivery: Delivery) -> None:
        if self._keys.take(delivery, self._handling):
            self._start(delivery)
        else:
            await self._claims.give_back(delivery, _KEY_BUSY_WAIT_S)

    def _start(self, delivery: Delivery) -> None:
        self._held[delivery.claim] = delivery
        self._queue.append(delivery)
        if self._running < self._places and self._tasks is not None:
            self._running += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        """Handle what is queued until nothing is; one of as many as the step has places."""
        # It may have been started by a commit inside of another invocation: it is none of that.
        begin_anew()
        try:
            while self._queue:
                delivery = self._queue.popleft()
                ended = await self._handling.handle(delivery)
                self._keys.free(delivery)
                self._held.pop(delivery.claim, None)
                if not ended or delivery.lane is not None:
                    # It is due again, or the next of its lane is: both only the store knows.
                    self._behind = True
                if self._behind and len(self._queue) < self._places // 2:
                    self._wake.set()
        finally:
            self._running -= 1
            self._idle.set()
            if self._behind:
                self._wake.set()

    def _claims_held(self) -> list[Claim]:
        return list(self._held)


class _BusyKeys:
    """How many deliveries of each key are under way, when a step bounds that."""

    def __init__(self, pointer: str, limit: int) -> None:
        self._pointer = Pointer(pointer) if pointer else None
        self._limit = limit
        self._busy: Tally[str] = Tally()
        self._of: dict[int, str] = {}

    def take(self, delivery: Delivery, handling: Handling) -> bool:
        """Note that a delivery begins; False when its key has as many as it may."""
        if self._pointer is None:
            return True
        key = self._pointer.text_in(handling.plain_input_of(delivery)) or ""
        if self._busy[key] >= self._limit:
            return False
        self._busy[key] += 1
        self._of[delivery.id] = key
        return True

    def free(self, delivery: Delivery) -> None:
        """Note that a delivery has ended."""
        key = self._of.pop(delivery.id, None)
        if key is not None:
            self._busy[key] -= 1
            self._busy += Tally()
