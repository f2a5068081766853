"""The load on a contender: the same for each, from inside its process."""

import gc
import time
from pathlib import Path

import anyio

from bench.steps.contract import IN_FLIGHT, Contender, First

_SETTLE_S = 10.0
_STEP_S = 0.01
_STATM_RESIDENT = 1
_PAGE_BYTES = 4096
_CHAIN_S = 60.0


class WrongSum(Exception):
    """The state does not hold what was done: something was lost, or done twice."""


class Stuck(Exception):
    """A chain was not handled in time."""


class Load:
    """Sends events, waits until they are handled, checks the state in the end."""

    def __init__(self) -> None:
        self._under_way: dict[int, anyio.Event] = {}
        self._sent = 0
        self._counts = 0

    def handled(self, index: int) -> None:
        """Note that an event from outside has been handled to its end."""
        if done := self._under_way.pop(index, None):
            done.set()

    async def chains(self, contender: Contender, count: int) -> float:
        """Run chains, `IN_FLIGHT` at a time; returns seconds from first emit to last handled."""
        numbers = iter(range(self._sent, self._sent + count))
        self._sent += count
        self._counts += 2 * count

        async def in_turn() -> None:
            for index in numbers:
                await self._one(contender, First.CHAIN, index)

        began_s = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(IN_FLIGHT):
                tasks.start_soon(in_turn)
        return time.perf_counter() - began_s

    async def latencies_ms(
        self, contender: Contender, first: First, count: int, *, pause_s: float
    ) -> list[float]:
        """Send one event after the other, with pauses; returns from before emit to handled."""
        found = []
        for index in range(self._sent, self._sent + count):
            await anyio.sleep(pause_s)
            began_s = time.perf_counter()
            await self._one(contender, first, index)
            found.append((time.perf_counter() - began_s) * 1000)
        self._sent += count
        self._counts += count
        return found

    async def check(self, contender: Contender) -> None:
        """Compare the state with what was sent.

        The last steps' commits may still be under way when their handlers have run.

        Raises:
            WrongSum: they differ.
        """
        deadline_s = time.monotonic() + _SETTLE_S
        while (found := await contender.state_sum()) != self._counts:
            if time.monotonic() > deadline_s:
                raise WrongSum(f"the state counts {found} steps, {self._counts} were sent")
            await anyio.sleep(_STEP_S)

    async def _one(self, contender: Contender, first: First, index: int) -> None:
        done = self._under_way[index] = anyio.Event()
        await contender.emit(first, index)
        with anyio.move_on_after(_CHAIN_S) as waiting:
            await done.wait()
        if waiting.cancelled_caught:
            raise Stuck(f"event {index} was not handled within {_CHAIN_S:.0f} s")


def resident_bytes() -> int:
    """Return the memory of this process that is resident, after a garbage collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[_STATM_RESIDENT]) * _PAGE_BYTES
