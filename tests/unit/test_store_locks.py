"""Which locks commits take, so that those that conflict wait for each other."""

from tidegate.store.locks import MAX_LOCKS, STORE, Lock, lock_id, locks_of
from tidegate.store.model import Commit, GroupRead, Key, Write

_WRITE = Write(b"1")


def test_locks_have_one_order_for_all() -> None:
    """However a commit names its keys, it takes their locks in the same order."""
    keys = [Key(f"g{n % 3}", f"{n}") for n in range(9)]
    forth = locks_of(Commit(writes=dict.fromkeys(keys, _WRITE)))
    back = locks_of(Commit(writes=dict.fromkeys(reversed(keys), _WRITE)))

    assert forth == back
    assert forth[0] == Lock(STORE, alone=False)


def test_locks_are_shared_by_readers_only() -> None:
    """A key that is read is shared; one that is written, read or not, is held alone."""
    read, written = Key("g", "read"), Key("g", "written")

    locks = dict(locks_of(Commit(reads={read: 1, written: 1}, writes={written: _WRITE})))

    assert not locks[lock_id(*read)]
    assert locks[lock_id(*written)]


def test_locks_of_a_list_keep_writers_of_its_group_out() -> None:
    """Who read a group's list holds the group alone, who writes into it shares it."""
    group = lock_id("g")
    writer = dict(locks_of(Commit(writes={Key("g", "k"): _WRITE})))
    lister = dict(
        locks_of(Commit(group_reads=[GroupRead("g", None, ())], writes={Key("g", "k"): _WRITE}))
    )

    assert writer[group] is False
    assert lister[group] is True


def test_locks_have_a_bound() -> None:
    """A commit of very many keys holds the whole store instead; one of none holds nothing."""
    many = {Key("g", f"{n}"): _WRITE for n in range(MAX_LOCKS)}

    assert locks_of(Commit(writes=many)) == [Lock(STORE, alone=True)]
    assert locks_of(Commit()) == []


def test_locks_tell_names_apart() -> None:
    """Where a group ends and its key begins counts; the number fits into 64 signed bits."""
    assert lock_id("ab", "c") != lock_id("a", "bc")
    assert lock_id("ab") != lock_id("a", "b")
    assert -(2**63) <= lock_id("a") < 2**63
