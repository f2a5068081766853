"""Test steps in one process, on a clock that only the test moves; for your own pytest, too."""

from tidegate.testing.clock import VirtualClock
from tidegate.testing.harness import DeadEvent, Endless, Harness

__all__ = ["DeadEvent", "Endless", "Harness", "VirtualClock"]
