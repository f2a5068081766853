"""A batch as the columns of `tidegate.commit_batch`, and what its faults say. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from tidegate.errors import Conflict, LeaseLost
from tidegate.store.bounds import MAX_CHANGES
from tidegate.store.glob import glob_to_regex
from tidegate.store.model import WAITS, Claim, Commit, Delivery, GroupRead
from tidegate.store.postgres.batches import Batch

_NOWHERE = ((None, None, None, None),)
_KEYS, _LISTS, _CLAIMS, _NOTES, _EVENTS, _CHANGES = 8, 4, 6, 5, 11, 6


class Columns:
    """A batch as the arguments of `tidegate.commit_batch`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._keys: list[tuple[Any, ...]] = []
        self._lists = ListColumns()
        self._claims: list[tuple[Any, ...]] = []
        self._notes: list[tuple[Any, ...]] = []
        self._told: list[tuple[int, int]] = []
        self._events: list[tuple[Any, ...]] = []
        self._event = 0
        self._deletes = False
        self._changes: list[tuple[Any, ...]] = []
        for number, commit in enumerate(batch.commits, start=1):
            self._add(number, commit)

    def arguments(self, origin: str) -> list[Any]:
        """Return them in order."""
        return [
            origin,
            WAITS,
            MAX_CHANGES,
            [commit.now_ms for commit in self._batch.commits],
            *self._batch.lock_columns(),
            *columns(self._keys, _KEYS),
            self._deletes,
            *self._lists.arguments(),
            *columns(self._claims, _CLAIMS),
            *columns(self._notes, _NOTES),
            *columns(self._told, 2),
            *columns(self._events, _EVENTS),
            *columns(self._changes, _CHANGES),
        ]

    def leased(
        self, faults: Sequence[str | None], dropped: Sequence[int], ids: Iterable[int]
    ) -> dict[int, list[Delivery]]:
        """Return what each commit has leased, by its number, given the ids in their order."""
        found: dict[int, list[Delivery]] = {}
        numbers = iter(ids)
        for commit, event, _, topic, payload, trace_id, _, step, _, lane, lease in self._events:
            if lease is None or lane is not None or faults[commit - 1] or event in dropped:
                continue
            delivery = Delivery(next(numbers), 1, step, topic, payload, 1, trace_id, None, {})
            found.setdefault(commit, []).append(delivery)
        return found

    def change_counts(self) -> list[int]:
        """Return how many stream changes each commit has."""
        return [len(commit.changes) for commit in self._batch.commits]

    def error(self, fault: str) -> Conflict:
        """Return what a fault's number says."""
        what, _, number = fault.partition(" ")
        place = int(number) - 1
        if what == "key":
            return stale(self._keys[place])
        if what == "list":
            return self._lists.error(place)
        if what == "told":
            return Conflict(f"lapsed value {self._told[place][1]} was told already")
        commit, delivery_id = self._claims[place][:2]
        claims = self._batch.commits[commit - 1]
        suspended = [claims.suspension.claim] if claims.suspension else []
        return lease_lost(next(c for c in (*claims.done, *suspended) if c[0] == delivery_id))

    def _add(self, number: int, commit: Commit) -> None:
        writes = commit.writes
        for key, version in commit.reads.items():
            write = writes.get(key)
            if write is None:
                self._keys.append((number, *key, version, True, None, None, None))
            else:
                self._keys.append((number, *key, version, None, *write))
        for key, write in writes.items():
            self._deletes = self._deletes or write.data is None
            if key not in commit.reads:
                self._keys.append((number, *key, None, None, *write))
        self._lists.add(number, commit.group_reads)
        for claim in commit.done:
            self._claims.append((number, *claim, None))
        if commit.suspension is not None:
            self._suspend(number, commit)
        self._told.extend((number, lapsed_id) for lapsed_id in commit.lapsed)
        if commit.events:
            self._deliver(number, commit)
        self._changes.extend((number, *change) for change in commit.changes)

    def _suspend(self, number: int, commit: Commit) -> None:
        assert commit.suspension is not None  # noqa: S101 - the caller has looked
        claim, due_at_ms, journal, waiter = commit.suspension
        self._claims.append((number, *claim, due_at_ms))
        for name, result in journal.items():
            self._notes.append((number, claim.delivery_id, name, None, result))
        if waiter is not None:
            self._notes.append((number, *waiter))

    def _deliver(self, number: int, commit: Commit) -> None:
        for topic, payload, trace_id, to, event_id in commit.events:
            self._event += 1
            event = (topic, payload, trace_id, event_id)
            again = None
            for address in to or _NOWHERE:
                self._events.append((number, self._event, again, *event, *address))
                again = True


class ListColumns:
    """Group reads: a read's keys and versions are those up to its end."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._versions: list[tuple[str, int]] = []

    def add(self, number: int, reads: Iterable[GroupRead]) -> None:
        """Add the group reads of a commit."""
        for group, pattern, versions in reads:
            self._versions.extend(versions)
            regex = None if pattern is None else glob_to_regex(pattern)
            self._rows.append((number, group, regex, len(self._versions)))

    def arguments(self) -> list[Any]:
        """Return the six columns."""
        return [*columns(self._rows, _LISTS), *columns(self._versions, 2)]

    def error(self, place: int) -> Conflict:
        """Return what is said when a list is stale."""
        return Conflict(f"group {self._rows[place][1]} was changed")


def stale(row: tuple[Any, ...]) -> Conflict:
    """Return what is said when a key (number, group, key, …) is stale."""
    return Conflict(f"{row[1]}/{row[2]} was changed", (row[1], row[2]))


def lease_lost(claim: Claim) -> LeaseLost:
    """Return what is said when a claim is void."""
    return LeaseLost(f"delivery {claim.delivery_id} went to another worker")


def columns(rows: Any, count: int) -> list[list[Any] | None]:
    """Turn rows into the arrays that a statement takes, so many of them.

    NULL stands for an array of nothing but NULL: to encode an array costs more than all else here.
    """
    if not rows:
        return [None] * count
    found = [list(column) for column in zip(*rows, strict=True)]
    return [None if column.count(None) == len(column) else column for column in found]
