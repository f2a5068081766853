"""Where this process handles events: what it commits for them is handed over, not claimed.

An event that is due at once, for a step that has room here, is written leased already; when its
commit is applied, it is given to the step's intake in memory.
"""

from collections.abc import Sequence
from typing import Protocol

from tidegate.engine.routing import Destination
from tidegate.store.model import WAITS, Address, Commit, Committed, Delivery


class Intake(Protocol):
    """Where this process handles the events of one step."""

    def reserve(self) -> int | None:
        """Return until when a new event is leased to be handled here at once, None for not now."""
        ...

    def give_back(self) -> None:
        """Free a reservation that came to nothing."""
        ...

    def take(self, delivery: Delivery) -> None:
        """Handle a delivery for which a place was reserved."""
        ...

    def wake(self) -> None:
        """Look for new deliveries in the store."""
        ...


class Intakes:
    """The intakes of this process, by step."""

    def __init__(self) -> None:
        self._of: dict[str, Intake] = {}

    def add(self, step: str, intake: Intake) -> None:
        """Handle the events of a step in this process."""
        self._of[step] = intake

    def wake(self, step: str | None) -> None:
        """Look for deliveries of a step, or of every step that this process handles."""
        for name in self._of if step is None else (step,):
            if name in self._of:
                self._of[name].wake()

    def address(self, to: Destination, *, at_once: bool) -> Address:
        """Lease what can be handled here at once; the rest is claimed from the store."""
        lease_until: int | None = None
        if at_once and (intake := self._of.get(to.step)):
            lease_until = intake.reserve()
        return Address(to.step, to.due_at_ms, to.lane, lease_until)

    def give_back(self, commit: Commit) -> None:
        """Free what was reserved for a commit."""
        for address in _addresses(commit):
            if address.lease_until_ms is not None:
                self._of[address.step].give_back()

    def hand_over(self, commit: Commit, committed: Committed) -> None:
        """Pass on what a commit has made: a store leases all that it is asked to, or nothing."""
        for delivery in committed.leased:
            self._of[delivery.step].take(delivery)
        if not committed.leased:
            self.give_back(commit)
        for address in _addresses(commit):
            if address.lease_until_ms is None or not committed.leased:
                self.wake(address.step)
        if committed.awaited:
            self.wake(WAITS)


def _addresses(commit: Commit) -> Sequence[Address]:
    return [address for event in commit.events for address in event.to]
