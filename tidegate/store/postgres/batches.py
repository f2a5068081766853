"""Which commits go together in one statement. Pure.

In a batch no commit writes what another reads or writes, and no two end one delivery or one lapsed
value: so each can be judged for itself, whatever becomes of the others.
"""

from collections.abc import Iterable

from tidegate.store.model import Commit, Key

MAX_COMMITS = 64
MAX_BYTES = 8 * 1024 * 1024
# The database has room for 64 a connection; who needs more holds the whole store instead.
MAX_LOCKS = 48


class Batch:
    """Commits for one statement."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self._locks: dict[str, bool] = {}
        self._size_bytes = 0
        self._read: set[Key] = set()
        self._written: set[Key] = set()
        self._listed: set[str] = set()
        self._written_groups: set[str] = set()
        # Deliveries and lapsed values have ids of their own: the latter are below zero here.
        self._ended: set[int] = set()

    def excludes(self, commit: Commit) -> bool:
        """Tell whether a commit touches what one of these touches."""
        written = self._written
        if written or self._listed:
            for key in commit.reads:
                if key in written:
                    return True
            for read in commit.group_reads:
                if read.group in self._written_groups:
                    return True
        for key in commit.writes:
            if key in written or key in self._read or key.group in self._listed:
                return True
        return not self._ended.isdisjoint(_ended(commit))

    def has_room(self, commit: Commit) -> bool:
        """Tell whether one more fits; anything fits into an empty one."""
        if not self.commits:
            return True
        return (
            len(self.commits) < MAX_COMMITS
            and self._size_bytes < MAX_BYTES
            and (len(self._locks) + _places(commit) <= MAX_LOCKS or not self._new_locks(commit))
        )

    def add(self, commit: Commit) -> None:
        """Take a commit in."""
        self.commits.append(commit)
        self._read.update(commit.reads)
        self._ended.update(_ended(commit))
        for key, write in commit.writes.items():
            self._written.add(key)
            self._written_groups.add(key.group)
            self._size_bytes += len(write.data or b"")
        for event in commit.events:
            self._size_bytes += len(event.payload) * max(1, len(event.to))
        self._listed.update(read.group for read in commit.group_reads)
        for name, alone in _locks(commit):
            self._locks[name] = alone or self._locks.get(name, False)

    def lock_columns(self) -> tuple[list[str], list[bool]]:
        """Return the names of the advisory locks, and which of them are held alone."""
        if len(self._locks) > MAX_LOCKS:
            return ["store"], [True]
        return ["store", *self._locks], [False, *self._locks.values()]

    def _new_locks(self, commit: Commit) -> bool:
        return any(self._locks.get(name) is None for name, _ in _locks(commit))


def _ended(commit: Commit) -> list[int]:
    ended = [claim[0] for claim in commit.done]
    if commit.suspension is not None:
        ended.append(commit.suspension.claim[0])
    ended.extend(-lapsed_id for lapsed_id in commit.lapsed)
    return ended


def _places(commit: Commit) -> int:
    """Return how many locks it wants at most."""
    events = sum(len(event.to) for event in commit.events)
    return len(commit.writes) + len(commit.group_reads) + len(commit.done) + events


def _locks(commit: Commit) -> Iterable[tuple[str, bool]]:
    """Name the advisory locks: who writes into a group shares it, who read its list is alone."""
    for key in commit.writes:
        yield f"group {key.group}", False
    for read in commit.group_reads:
        yield f"group {read.group}", True
    for _, _, step, lane in commit.done:
        if lane is not None:
            yield f"lane {step} {lane}", True
    for event in commit.events:
        for step, _, lane, _ in event.to:
            if lane is not None:
                yield f"lane {step} {lane}", True
