"""What every store does with values and the commits that write them."""

import anyio
import pytest

from tests.support.stores import KEY, STEP, claim, event, setting
from tidegate.errors import Conflict, Misconfigured, NonRetriable
from tidegate.store.look import look_into
from tidegate.store.model import ABSENT, Commit, GroupRead, Key, Write
from tidegate.store.open import open_store
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio


async def test_store_reads_what_was_committed(store: Store) -> None:
    """A written value comes back with a version of its own; a deleted one is absent."""
    await store.commit(setting(KEY))
    first = await store.read(KEY, 0)
    await store.commit(Commit(now_ms=0, writes={KEY: Write(None)}))

    assert first.data == b"1"
    assert first.version != ABSENT
    assert await store.read(KEY, 0) == (None, ABSENT)


async def test_store_refuses_a_commit_on_a_stale_read(store: Store) -> None:
    """A value that changed since it was read is a conflict that names it; nothing is applied."""
    await store.commit(setting(KEY))
    seen = await store.read(KEY, 0)
    await store.commit(setting(KEY, data=b"2"))

    with pytest.raises(Conflict) as caught:
        await store.commit(
            Commit(
                now_ms=0,
                reads={Key("a", "absent"): ABSENT, KEY: seen.version},
                writes={KEY: Write(b"3"), Key("new", "key"): Write(b"3")},
                events=[event()],
            )
        )

    assert caught.value.place == KEY
    assert (await store.read(KEY, 0)).data == b"2"
    assert await store.groups(limit=9) == [("group", 1)]
    assert await store.pending("step") == 0


async def test_store_sees_a_key_deleted_and_set_again(store: Store) -> None:
    """Deleting and setting the same bytes is a change, not a return to the old version."""
    await store.commit(setting(KEY))
    seen = await store.read(KEY, 0)
    await store.commit(Commit(now_ms=0, writes={KEY: Write(None)}))
    await store.commit(setting(KEY))

    with pytest.raises(Conflict):
        await store.commit(Commit(now_ms=0, reads={KEY: seen.version}, writes={KEY: Write(b"2")}))


async def test_store_sees_phantoms_in_a_group(store: Store) -> None:
    """A key that appeared in a group since it was read is a conflict."""
    rows = await store.read_group("group", None, 0)
    await store.commit(setting(KEY))
    read = GroupRead("group", None, tuple((key, value.version) for key, value in rows))

    with pytest.raises(Conflict):
        await store.commit(
            Commit(now_ms=0, group_reads=[read], writes={Key("x", "y"): Write(b"1")})
        )


async def test_store_commits_on_lists_that_are_as_they_were_read(store: Store) -> None:
    """Several lists, an empty one among them, and values in them: no change, no conflict."""
    await store.commit(setting(Key("g", "a1"), Key("g", "a2"), Key("g", "b")))
    reads = []
    for group, pattern in (("g", "a*"), ("empty", None), ("g", None)):
        rows = await store.read_group(group, pattern, 0)
        reads.append(GroupRead(group, pattern, tuple((key, v.version) for key, v in rows)))

    await store.commit(
        Commit(
            now_ms=0,
            reads={Key("g", "none"): ABSENT},
            group_reads=reads,
            writes={Key("g", "a1"): Write(b"2"), Key("g", "a2"): Write(None)},
        )
    )

    found = [(key, value.data) for key, value in await store.read_group("g", None, 0)]
    assert found == [("a1", b"2"), ("b", b"1")]


async def test_store_keeps_groups_apart(store: Store) -> None:
    """Group `user` never returns what is in `users`; keys come in order; globs match keys."""
    await store.commit(setting(Key("user", "b"), Key("user", "a:1"), Key("users", "c")))

    assert [key for key, _ in await store.read_group("user", None, 0)] == ["a:1", "b"]
    assert [key for key, _ in await store.read_group("user", "a:*", 0)] == ["a:1"]
    assert await store.groups(limit=9) == [("user", 2), ("users", 1)]
    assert await store.groups(limit=1) == [("user", 2)]
    assert await store.groups(limit=9, after="user") == [("users", 1)]


_GLOBS = {
    "*": ["A", "a", "a\nb", "a-b", "a.b", "a]b", "ab", "\uffff", "\U0001f600"],
    "a?b": ["a\nb", "a-b", "a.b", "a]b"],
    "a.b": ["a.b"],
    "a[-.]b": ["a-b", "a.b"],
    "a[^-.]b": ["a\nb", "a]b"],
    "a[]]b": ["a]b"],
    "a[^]]b": ["a\nb", "a-b", "a.b"],
    "a[+-/]b": ["a-b", "a.b"],
    "a[z-]b": ["a-b"],
    "a[z-a-]b": ["a-b"],
    "a[b": [],
    "[\ufffe-\U0001ffff]": ["\uffff", "\U0001f600"],
    "(a|b)": [],
    "\\a": [],
}


async def test_store_globs_are_sqlites(store: Store) -> None:
    """Every adapter reads a glob as SQLite does, and sorts by code point."""
    await store.commit(setting(*(Key("g", key) for key in reversed(_GLOBS["*"]))))

    found = {glob: [key for key, _ in await store.read_group("g", glob, 0)] for glob in _GLOBS}

    assert found == _GLOBS


async def test_store_checks_a_commit_that_only_reads(store: Store) -> None:
    """Two reads that do not belong together are a conflict even when nothing is written."""
    await store.commit(setting(KEY))
    seen, rows = await store.read(KEY, 0), await store.read_group("group", None, 0)
    read = GroupRead("group", None, tuple((key, value.version) for key, value in rows))
    whole = Commit(now_ms=0, reads={KEY: seen.version, Key("a", "b"): ABSENT}, group_reads=[read])
    await store.commit(whole)
    await store.commit(setting(KEY, data=b"2"))

    with pytest.raises(Conflict) as caught:
        await store.commit(Commit(now_ms=0, reads={KEY: seen.version}))
    with pytest.raises(Conflict):
        await store.commit(Commit(now_ms=0, group_reads=[read]))

    assert caught.value.place == KEY


async def test_store_outlives_an_impossible_operation(store: Store) -> None:
    """What cannot be stored is its caller's error: neighbours and later callers go on."""
    outcomes: list[str] = []

    async def commit(commit: Commit) -> None:
        try:
            await store.commit(commit)
            outcomes.append("ok")
        except NonRetriable:
            outcomes.append("refused")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commit, setting(Key("a", "1")))
        tasks.start_soon(commit, Commit(now_ms=0, events=[event(due=10**30)]))
        tasks.start_soon(commit, setting(Key("a", "\udcff")))
        tasks.start_soon(commit, setting(Key("a", "2")))

    assert sorted(outcomes) == ["ok", "ok", "refused", "refused"]
    assert [key for key, _ in await store.read_group("a", None, 0)] == ["1", "2"]


async def test_store_outlives_an_impossible_read(store: Store) -> None:
    """Who reads a key that cannot be is refused or finds nothing; his neighbours are answered."""
    await store.commit(setting(KEY))
    found: list[bytes | None] = []

    async def read(key: Key) -> None:
        try:
            found.append((await store.read(key, 0)).data)
        except NonRetriable:
            found.append(None)

    async with anyio.create_task_group() as tasks:
        for key in (KEY, Key("a", "\udcff"), KEY):
            tasks.start_soon(read, key)

    assert sorted(found, key=str) == [None, b"1", b"1"]


async def test_store_commits_very_many_keys(store: Store) -> None:
    """A commit of thousands of values, events and groups is applied as one of few is."""
    keys = [Key(f"g{number % 100}", f"{number}") for number in range(3_000)]
    commit = setting(*keys)
    commit.events = [event(lane=f"{number}") for number in range(500)]

    await store.commit(commit)

    assert len(await store.read_group("g7", None, 0)) == 30
    assert await store.pending("step") == 500


async def test_store_outlives_cancelled_callers(store: Store) -> None:
    """Callers that give up half-way take nothing with them: later ones are served."""
    for number in range(40):
        with anyio.move_on_after(0.0005 * (number % 5)):
            await store.commit(setting(KEY))
        with anyio.move_on_after(0.0005 * (number % 5)):
            await store.read(KEY, 0)

    with anyio.fail_after(5):
        await store.commit(setting(KEY, data=b"2"))
        assert (await store.read(KEY, 0)).data == b"2"


@pytest.mark.parametrize(
    "url",
    ["", "state.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://h/d",
     "postgresql://h:port/d"],
)  # fmt: skip
async def test_store_url_must_name_one(url: str) -> None:
    """What is no URL of a store is the operator's to correct, and no secret is repeated."""
    with pytest.raises(Misconfigured):
        async with open_store(url):
            pass


async def test_store_lists_keys_in_pages(store: Store) -> None:
    """Keys come by code point, page by page; those of other groups and lapsed ones do not."""
    writes = {Key("g", key): Write(b"1") for key in ("b", "a", "é", "A", "a/b")}
    writes |= {Key("g", "lapsed"): Write(b"1", expires_at_ms=50), Key("gg", "c"): Write(b"1")}
    await store.commit(Commit(now_ms=0, writes=writes))

    first = await store.keys("g", limit=3, now_ms=50)
    rest = await store.keys("g", limit=3, now_ms=50, after=first[-1])

    assert first + rest == ["A", "a", "a/b", "b", "é"]
    assert "lapsed" in await store.keys("g", limit=9, now_ms=49)


async def test_store_is_looked_into_beside_its_work(store: Store, store_url: str) -> None:
    """A look tells the schema and how many events wait for each step, and changes nothing."""
    await store.commit(Commit(now_ms=0, events=[event(), event(b"y")]))
    [dead, _] = await claim(store)
    await store.bury(dead, error="e", stack="s", now_ms=0)

    seen = await look_into(store_url)

    assert seen is not None
    assert seen.schema == seen.newest
    assert seen.waiting == [(STEP, 1)]
    assert seen.dead == [(STEP, 1)]
