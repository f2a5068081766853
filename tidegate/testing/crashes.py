"""Let a process die between any two operations on its store, and start again."""

from collections.abc import Awaitable, Callable

from tidegate.testing.harness import Harness
from tidegate.testing.mortal import Crash

_MOST_POINTS = 10_000


async def crash_everywhere(
    make: Callable[[], Harness],
    scenario: Callable[[Harness], Awaitable[None]],
    check: Callable[[Harness], Awaitable[None]],
) -> int:
    """Run a scenario once for each of its operations on the store, dying before that one.

    After each death what was leased is let go, as after a restart; `check` then looks at what has
    become of it. The scenario should end with `drain` or `tick`, and is not run again itself.

    Returns:
        How many deaths there were: the number of operations of the scenario.
    """
    for point in range(1, _MOST_POINTS):
        async with make() as harness:
            harness.crash_at(point)
            try:
                await scenario(harness)
            except Crash:
                await harness.restart()
            crashed = harness.has_crashed
            harness.crash_at(None)
            await harness.drain()
            await check(harness)
        if not crashed:
            return point - 1
    raise AssertionError(f"the scenario has more than {_MOST_POINTS} operations")
