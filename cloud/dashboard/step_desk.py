"""What the pages on steps need from whoever runs the steps, declared on this side. Pure."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from tidegate.contract import StepConfig


class StepFacts(NamedTuple):
    """One step as it runs here.

    `waiting` are its events that are not handled yet, `outcomes` what became of events (or of
    requests, by status) since the process started, `next_at` the next time of its schedule.
    """

    config: StepConfig
    about: str
    waiting: int
    outcomes: Mapping[str, int]
    next_at: datetime | None


class DeadEvent(NamedTuple):
    """An event that was given up; `data` is None with `is_left_out` when it is too long."""

    id: int
    step: str
    topic: str
    data: object
    is_left_out: bool
    size_bytes: int
    error: str
    stack: str
    attempts: int
    died_at_ms: int
    is_loaded: bool


class StepDesk(Protocol):
    """The steps that run, and their dead events. Every method may raise `StoreAway`."""

    def steps(self) -> Awaitable[Sequence[StepFacts]]:
        """Return every step, in order of their names."""
        ...

    def dead_counts(self) -> Awaitable[Mapping[str, int]]:
        """Return how many dead events each step has that has any."""
        ...

    def dead(
        self, *, limit: int, before: int | None = None, step: str | None = None
    ) -> Awaitable[Sequence[DeadEvent]]:
        """Return dead events with ids below `before`, of one step or all, newest first.

        Long data is left out, long texts are cut.
        """
        ...

    def dead_event(self, dead_id: int) -> Awaitable[DeadEvent | None]:
        """Return one dead event whole, None when there is none."""
        ...

    def dead_ids(self, step: str) -> Awaitable[Sequence[int]]:
        """Return the ids of a step's dead events."""
        ...

    def redrive(self, dead_ids: Sequence[int]) -> Awaitable[int]:
        """Make dead events due again with all their attempts; returns how many there were."""
        ...

    def purge(self, dead_ids: Sequence[int]) -> Awaitable[int]:
        """Delete dead events; returns how many there were."""
        ...
