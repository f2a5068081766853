"""What every store keeps of streams for their clients."""

import anyio
import anyio.lowlevel
import pytest

from tests.support.stores import change
from tidegate.errors import Conflict
from tidegate.store.bounds import KEEP_CHANGES_MS, MAX_CHANGES
from tidegate.store.model import Commit, Frame, Key, StreamChange, Write, stream_group
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio


async def test_store_numbers_changes_of_each_group_of_a_stream(store: Store) -> None:
    """Numbers begin at 1, have no gap, and each group of each stream has its own."""
    elsewhere = StreamChange("other", "g", "event", None, None)
    first = await store.commit(Commit(now_ms=0, changes=[change(), change("h"), change()]))
    second = await store.commit(Commit(now_ms=0, changes=[elsewhere, change()]))

    assert (list(first.seqs), list(second.seqs)) == ([1, 1, 2], [1, 3])
    heads = await store.heads([("stream", "h"), ("stream", "g"), ("no", "g"), ("other", "g")])
    assert heads == [1, 3, 0, 1]
    assert await store.changes("other", "g", after=0, limit=9) == [Frame(1, elsewhere)]


async def test_store_returns_the_changes_after_a_number(store: Store) -> None:
    """They come oldest first, no more than asked; None stands for a number that never was."""
    commit = Commit(now_ms=0, changes=[change(data=b"%d" % n) for n in range(5)])
    await store.commit(commit)

    after_two = await store.changes("stream", "g", after=2, limit=2)

    assert after_two == [Frame(3, commit.changes[2]), Frame(4, commit.changes[3])]
    assert await store.changes("stream", "g", after=5, limit=9) == []
    assert await store.changes("stream", "g", after=6, limit=9) is None
    assert await store.changes("stream", "nobody", after=0, limit=9) == []
    assert await store.changes("stream", "nobody", after=1, limit=9) is None


async def test_store_numbers_nothing_for_a_commit_that_fails(store: Store) -> None:
    """A commit in conflict leaves no gap."""
    with pytest.raises(Conflict):
        await store.commit(Commit(now_ms=0, reads={Key("a", "b"): 7}, changes=[change()]))
    committed = await store.commit(Commit(now_ms=0, changes=[change()]))

    assert list(committed.seqs) == [1]


async def test_store_keeps_the_newest_changes(store: Store) -> None:
    """Of each group so many are kept; who asks for older ones is told to begin anew."""
    for _ in range(3):
        changes = [change() for _ in range(MAX_CHANGES // 2)]
        await store.commit(Commit(now_ms=0, changes=[*changes, change("h")]))

    oldest = MAX_CHANGES // 2
    assert await store.changes("stream", "g", after=oldest - 1, limit=1) is None
    kept = await store.changes("stream", "g", after=oldest, limit=9_999)
    assert kept is not None
    assert [frame.seq for frame in kept] == list(range(oldest + 1, 3 * oldest + 1))
    assert await store.changes("stream", "h", after=0, limit=9) is not None


async def test_store_purges_changes_of_yesterday(store: Store) -> None:
    """A change is kept a day; numbers go on from where they were."""
    await store.commit(Commit(now_ms=0, changes=[change()]))
    await store.commit(Commit(now_ms=1, changes=[change()]))
    await store.purge(KEEP_CHANGES_MS)
    assert await store.changes("stream", "g", after=0, limit=9) is None
    assert await store.changes("stream", "g", after=1, limit=9) == [Frame(2, change())]

    await store.purge(KEEP_CHANGES_MS + 1)
    committed = await store.commit(Commit(now_ms=2, changes=[change()]))

    assert list(committed.seqs) == [3]


async def test_store_snapshots_a_group_of_a_stream(store: Store) -> None:
    """A snapshot has the values in order of their keys and the number of the last change."""
    group = stream_group("stream", "g")
    writes = {Key(group, key): Write(key.encode()) for key in "ba"}
    await store.commit(Commit(now_ms=0, writes=writes, changes=[change(), change()]))

    assert await store.snapshot("stream", "g") == (2, [("a", b"a"), ("b", b"b")])
    assert await store.snapshot("stream", "nobody") == (0, [])


async def test_store_snapshots_are_of_one_moment(store: Store, other: Store) -> None:
    """The number of a snapshot is that of the last change that its values hold, at any time."""
    key = Key(stream_group("stream", "g"), "id")
    over = anyio.Event()

    async def write() -> None:
        for number in range(1, 60):
            await other.commit(
                Commit(now_ms=0, writes={key: Write(b"%d" % number)}, changes=[change()])
            )
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        while not over.is_set():
            seq, values = await store.snapshot("stream", "g")
            assert dict(values).get("id", b"0") == b"%d" % seq
            await anyio.lowlevel.checkpoint()


async def test_store_numbers_changes_of_two_processes_without_a_gap(
    store: Store, other: Store
) -> None:
    """Commits of two stores to the same groups, in any order of groups, share one numbering."""
    seqs: list[int] = []

    async def write(writing: Store, groups: str) -> None:
        for _ in range(20):
            committed = await writing.commit(
                Commit(now_ms=0, changes=[change(group) for group in groups])
            )
            seqs.append(committed.seqs[groups.index("g")])

    async with anyio.create_task_group() as tasks:
        for writing, groups in ((store, "gh"), (other, "hg"), (store, "hg"), (other, "gh")):
            tasks.start_soon(write, writing, groups)

    assert sorted(seqs) == list(range(1, 81))
