"""The two clocks of the agent, injected so that tests can turn them."""

import time
from collections.abc import Callable

import msgspec


class Clock(msgspec.Struct, frozen=True):
    """Wall time stamps readings, monotonic time measures intervals and timeouts."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic

    def wall_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        return int(self.wall_s() * 1_000)
