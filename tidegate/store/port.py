"""The port of the state and event store, and what passes through it."""

from typing import NamedTuple, Protocol

import msgspec

ABSENT = 0


class Key(NamedTuple):
    """One value's place in the state."""

    group: str
    key: str


class Stored(NamedTuple):
    """A value as read: its bytes (None when absent or lapsed) and its version."""

    data: bytes | None
    version: int


class GroupRead(NamedTuple):
    """A read of many keys: which of them were there, at which versions."""

    group: str
    pattern: str | None
    versions: tuple[tuple[str, int], ...]


class Write(NamedTuple):
    """A buffered write; `data` None deletes; `expires_at_ms` None keeps for good."""

    data: bytes | None
    expires_at_ms: int | None = None


class NewDelivery(NamedTuple):
    """An event on its way to one step."""

    step: str
    topic: str
    payload: bytes
    due_at_ms: int
    trace_id: str
    dedup: str | None = None


class Claim(NamedTuple):
    """Which attempt of which delivery a commit ends; it must still be the latest attempt."""

    delivery_id: int
    attempt: int


class Commit(msgspec.Struct):
    """Everything that one invocation changes: applied as a whole or not at all."""

    reads: dict[Key, int] = {}
    group_reads: list[GroupRead] = []
    writes: dict[Key, Write] = {}
    deliveries: list[NewDelivery] = []
    done: Claim | None = None


class Delivery(NamedTuple):
    """A claimed event: `attempt` counts from 1; `journal` holds recorded side effects."""

    id: int
    step: str
    topic: str
    payload: bytes
    attempt: int
    trace_id: str
    journal: dict[str, bytes]


class DeadLetter(NamedTuple):
    """An event that was given up."""

    id: int
    step: str
    topic: str
    payload: bytes
    error: str
    stack: str
    attempts: int
    died_at_ms: int


class Store(Protocol):
    """State, deliveries and dead letters. Every method may raise `StoreAway`."""

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        ...

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values (those whose keys match the glob) in order of their keys."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Apply a commit; durable on return. One that only reads is checked, too.

        Raises:
            Conflict: something that it read has changed; nothing was applied.
        """
        ...

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first; an expired lease counts as due."""
        ...

    async def next_due_ms(self, steps: list[str]) -> int | None:
        """Return when the next delivery of these steps is due, None when there is none."""
        ...

    async def record(self, claim: Claim, name: str, result: bytes) -> None:
        """Journal the result of a side effect of a delivery; durable on return.

        Raises:
            LeaseLost: the delivery went to another worker.
        """
        ...

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back, to be tried again when it is due.

        Raises:
            LeaseLost: the delivery went to another worker.
        """
        ...

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters, of which the newest 10,000 are kept.

        Raises:
            LeaseLost: the delivery went to another worker.
        """
        ...

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        ...

    async def redrive(self, dead_id: int, now_ms: int) -> bool:
        """Make a dead letter due again with all its attempts; False when there is none."""
        ...

    async def purge_lapsed(self, now_ms: int) -> int:
        """Delete values whose time to live is over; return how many."""
        ...
