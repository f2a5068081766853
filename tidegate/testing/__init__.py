"""Test steps in one process, on a clock that only the test moves; for your own pytest, too."""

from tidegate.testing.clock import VirtualClock
from tidegate.testing.crashes import crash_everywhere
from tidegate.testing.faults import Injected
from tidegate.testing.harness import DeadEvent, Endless, Harness
from tidegate.testing.mortal import Crash

__all__ = [
    "Crash",
    "DeadEvent",
    "Endless",
    "Harness",
    "Injected",
    "VirtualClock",
    "crash_everywhere",
]
