"""Which commits of a batch go together, and which locks they take."""

from tidegate.store.model import Address, Claim, Commit, Event, GroupRead, Key, Write
from tidegate.store.postgres.batches import MAX_COMMITS, MAX_LOCKS, Batch

_WRITE = Write(b"1")
_KEY = Key("g", "k")


def _batch(*commits: Commit) -> Batch:
    batch = Batch()
    for commit in commits:
        batch.add(commit)
    return batch


def test_batches_exclude_who_touches_what_is_written() -> None:
    """A written key is for nobody else; a key that is only read is for all who read it."""
    reads, writes = Commit(now_ms=0, reads={_KEY: 1}), Commit(now_ms=0, writes={_KEY: _WRITE})

    assert _batch(writes).excludes(reads)
    assert _batch(writes).excludes(writes)
    assert _batch(reads).excludes(writes)
    assert not _batch(reads).excludes(reads)
    assert not _batch(writes).excludes(Commit(now_ms=0, writes={Key("g", "other"): _WRITE}))


def test_batches_exclude_writers_into_a_listed_group() -> None:
    """Who lists a group and who writes into it do not go together."""
    lists = Commit(now_ms=0, group_reads=[GroupRead("g", None, ())])
    writes = Commit(now_ms=0, writes={_KEY: _WRITE})

    assert _batch(lists).excludes(writes)
    assert _batch(writes).excludes(lists)
    assert not _batch(lists).excludes(lists)


def test_batches_exclude_a_second_end() -> None:
    """A delivery is ended, and a lapsed value told, once in a batch; their ids are not mixed up."""
    ends = Commit(now_ms=0, done=(Claim(7, 1, "s"),))
    tells = Commit(now_ms=0, lapsed=(7,))

    assert _batch(ends).excludes(ends)
    assert _batch(tells).excludes(tells)
    assert not _batch(ends).excludes(tells)


def test_batches_have_a_bound() -> None:
    """So many commits fit, so many bytes, so many locks; anything fits into an empty one."""
    small = Commit(now_ms=0, writes={_KEY: _WRITE})
    large = Commit(now_ms=0, writes={_KEY: Write(bytes(9_000_000))})
    wide = Commit(now_ms=0, writes={Key(f"{n}", "k"): _WRITE for n in range(MAX_LOCKS)})

    assert _batch(*[small] * (MAX_COMMITS - 1)).has_room(small)
    assert not _batch(*[small] * MAX_COMMITS).has_room(small)
    assert not _batch(large).has_room(small)
    assert not _batch(small).has_room(wide)
    assert _batch().has_room(wide)


def test_batches_lock_groups_and_lanes() -> None:
    """Writers share their group, listers and lanes are alone, all beside the store's own lock."""
    commit = Commit(
        now_ms=0,
        writes={Key("written", "k"): _WRITE, Key("both", "k"): _WRITE},
        group_reads=[GroupRead("both", "a*", ()), GroupRead("listed", None, ())],
        events=[Event("t", b"", "", (Address("s", 0, "sent"), Address("s", 0)))],
        done=(Claim(1, 1, "s", "ended"), Claim(2, 1, "s")),
    )

    names, alone = _batch(commit).lock_columns()

    assert dict(zip(names, alone, strict=True)) == {
        "store": False,
        "group written": False,
        "group both": True,
        "group listed": True,
        "lane s sent": True,
        "lane s ended": True,
    }


def test_batches_of_very_many_locks_hold_the_store() -> None:
    """From the bound up one lock stands for all of them."""
    wide = Commit(now_ms=0, writes={Key(f"{n}", "k"): _WRITE for n in range(MAX_LOCKS + 1)})

    assert _batch(wide).lock_columns() == (["store"], [True])
