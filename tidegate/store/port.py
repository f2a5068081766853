"""The ports of the state and event store. Every method of theirs may raise `StoreAway`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tidegate.store.model import (
    Claim,
    Commit,
    Committed,
    DeadLetter,
    DeadSummary,
    Delivery,
    Frame,
    Key,
    Lapsed,
    Stored,
    StreamSnapshot,
    Waiter,
)


class States(Protocol):
    """Values, and the commits of invocations."""

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        ...

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values (those whose keys match the glob) in order of their keys."""
        ...

    async def commit(self, commit: Commit) -> Committed:
        """Apply a commit; durable on return. One that only reads is checked, too.

        Events get their place in a lane in the order of the commits.

        Raises:
            Conflict: something that it read has changed; nothing was applied.
            LeaseLost: a delivery that it ends was claimed anew; nothing was applied.
        """
        ...

    async def groups(self, *, limit: int, after: str = "") -> list[tuple[str, int]]:
        """Return names of groups, in order, with how many keys each holds."""
        ...

    async def keys(self, group: str, *, limit: int, now_ms: int, after: str = "") -> list[str]:
        """Return the keys of a group whose values have not lapsed, in order."""
        ...


class Lapses(Protocol):
    """Values whose time is over."""

    async def purge(self, now_ms: int) -> int:
        """Delete lapsed values, old ids of events and old stream changes; return how many values.

        A lapsed value with `on_expire` is kept for `lapsed`.
        """
        ...

    async def lapsed(self, *, limit: int, now_ms: int) -> list[Lapsed]:
        """Return lapsed values whose event is not emitted yet; they are no longer in the state.

        One that was set again or deleted after it had lapsed is among them, one that was set
        again or deleted before is not.
        """
        ...

    async def next_lapse_ms(self) -> int | None:
        """Return when the next value with `on_expire` lapses, None when there is none."""
        ...


class StreamLog(Protocol):
    """Streams as their clients read them; they are written by commits."""

    async def snapshot(self, name: str, group: str) -> StreamSnapshot:
        """Return a group of a stream as of one moment."""
        ...

    async def changes(self, name: str, group: str, *, after: int, limit: int) -> list[Frame] | None:
        """Return the changes after a number, oldest first; None when they are not kept so far."""
        ...

    async def heads(self, streams: Sequence[tuple[str, str]]) -> list[int]:
        """Return the number of the last change of each (name, group), 0 when there is none."""
        ...


class Queue(Protocol):
    """Deliveries: events on their way to steps."""

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first; an expired lease counts as due.

        Of a lane only the first is due, until it is ended.
        """
        ...

    async def next_due_ms(self, steps: Sequence[str]) -> int | None:
        """Return when the next delivery of these steps is due, None when there is none."""
        ...

    async def pending(self, step: str) -> int:
        """Return how many deliveries a step has, due or not, leased or not."""
        ...

    async def renew(self, claims: Sequence[Claim], *, lease_until_ms: int) -> None:
        """Prolong leases; those that are lost already are left alone."""
        ...

    async def release_all(self, *, now_ms: int) -> int:
        """Make every leased delivery due now: for the one process that holds the store alone."""
        ...

    async def watch(self, wake: Callable[[str | None], None]) -> None:
        """Call `wake(step)` when another process commits an event for it, until cancelled.

        None stands for any step. A store that is told nothing by others only waits.
        """
        ...


class Fates(Protocol):
    """What becomes of a claimed delivery that no commit has ended yet."""

    async def record(self, claim: Claim, name: str, result: bytes) -> bytes:
        """Journal a result; durable on return. Returns what is journaled: the first one stays.

        Raises:
            LeaseLost: the delivery was claimed anew.
        """
        ...

    async def waiters(self, topic: str) -> list[Waiter]:
        """Return who waits for an event of the topic."""
        ...

    async def answer(self, waiter: Waiter, result: bytes, *, now_ms: int) -> None:
        """Journal what a waiter waits for, end its wait and make its delivery due."""
        ...

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back, to be tried again when it is due.

        Raises:
            LeaseLost: the delivery was claimed anew.
        """
        ...

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters, of which the newest 10,000 are kept.

        Raises:
            LeaseLost: the delivery was claimed anew.
        """
        ...


class DeadLetters(Protocol):
    """Events that were given up."""

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        ...

    async def dead_letter(self, dead_id: int) -> DeadLetter | None:
        """Return one dead letter."""
        ...

    async def newest_dead(
        self, *, limit: int, longest: int, before_id: int | None = None, step: str | None = None
    ) -> list[DeadSummary]:
        """Return dead letters with ids below `before_id`, of one step or all, newest first.

        Payloads of more than `longest` bytes are left out, texts are cut to as many characters.
        """
        ...

    async def dead_counts(self) -> list[tuple[str, int]]:
        """Return the steps that have dead letters, in order, with how many each has."""
        ...

    async def redrive(self, dead_ids: Sequence[int] | None, now_ms: int) -> int:
        """Make dead letters due again with all their attempts (None: all); returns how many."""
        ...

    async def purge_dead(self, dead_ids: Sequence[int] | None) -> int:
        """Delete dead letters (None: all); returns how many."""
        ...


class Store(States, Lapses, StreamLog, Queue, Fates, DeadLetters, Protocol):
    """The whole store: what one database holds."""
