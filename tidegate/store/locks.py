"""Which locks make a commit safe beside the commits of other connections. Pure.

What a commit reads must not change between its check and its end, and what it writes nobody
else may be checking. Keys have a lock each: shared to read, alone to write. A group's lock keeps
phantoms out: who writes into the group shares it, who read its list holds it alone. A lock is
a number, a hash of the name: two names of one number wait for each other, no more.
"""

from hashlib import blake2b
from typing import NamedTuple

from tidegate.store.model import Commit

# PostgreSQL has room for 64 a connection; who needs more holds the whole store instead.
MAX_LOCKS = 64


class Lock(NamedTuple):
    """A lock's number, and whether its holder bears nobody beside him."""

    id: int
    alone: bool


def lock_id(*names: str) -> int:
    """Return the number of a name: 64 bits, signed, the same in every process."""
    digest = blake2b(digest_size=8)
    for name in names:
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return int.from_bytes(digest.digest(), "big", signed=True)


STORE = lock_id("tidegate")


def locks_of(commit: Commit) -> list[Lock]:
    """Return a commit's locks in the order in which everybody takes them."""
    alone: dict[int, bool] = {}

    def want(lock: int, *, exclusive: bool) -> None:
        alone[lock] = alone.get(lock, False) or exclusive

    for read in commit.group_reads:
        want(lock_id(read.group), exclusive=True)
    for group, key in commit.reads:
        want(lock_id(group, key), exclusive=False)
    for group, key in commit.writes:
        want(lock_id(group), exclusive=False)
        want(lock_id(group, key), exclusive=True)
    if not alone:
        return []
    if len(alone) >= MAX_LOCKS:
        return [Lock(STORE, alone=True)]
    return [Lock(STORE, alone=False), *(Lock(*each) for each in sorted(alone.items()))]
