"""What every store does with values whose time is over."""

import pytest

from tests.support.stores import KEY, event, setting
from tidegate.errors import Conflict
from tidegate.store.model import Commit, Key, Lapsed, Write
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio
_TELLING = Write(b"1", 1_000, "lapsed.topic")


async def test_store_lapses_exactly(store: Store) -> None:
    """A value with a time to live is there until that moment and not at it."""
    await store.commit(Commit(now_ms=0, writes={KEY: Write(b"1", expires_at_ms=1_000)}))

    assert (await store.read(KEY, 999)).data == b"1"
    assert (await store.read(KEY, 1_000)).data is None
    assert [value.data for _, value in await store.read_group("group", None, 1_000)] == [None]
    assert await store.purge(999) == 0
    assert await store.purge(1_000) == 1


async def test_store_purges_any_number(store: Store) -> None:
    """All lapsed values go at once, however many; what is kept for good stays."""
    lapsed = {Key("g", f"{n}"): Write(b"1", expires_at_ms=5) for n in range(10_001)}
    await store.commit(Commit(now_ms=0, writes={**lapsed, KEY: Write(b"1")}))

    assert await store.purge(5) == 10_001
    assert (await store.read(KEY, 5)).data == b"1"


async def test_store_keeps_a_lapsed_value_until_its_event_is_emitted(store: Store) -> None:
    """With `on_expire` it survives a purge, is returned until a commit ends it, and once only."""
    await store.commit(Commit(now_ms=0, writes={KEY: _TELLING}))
    assert await store.next_lapse_ms() == 1_000
    assert await store.lapsed(limit=9, now_ms=999) == []
    assert await store.purge(1_000) == 0

    [lapsed] = await store.lapsed(limit=9, now_ms=1_000)
    [again] = await store.lapsed(limit=9, now_ms=1_000)
    told = Commit(now_ms=1_000, events=[event()], lapsed=(lapsed.id,))
    await store.commit(told)

    assert lapsed == again == Lapsed(lapsed.id, KEY, b"1", "lapsed.topic")
    assert await store.next_lapse_ms() is None
    assert await store.lapsed(limit=9, now_ms=1_000) == []
    with pytest.raises(Conflict):
        await store.commit(told)
    assert await store.pending("step") == 1


async def test_store_tells_of_what_was_overwritten_after_it_had_lapsed(store: Store) -> None:
    """Set again or deleted after its time a value has lapsed; before its time it has not."""
    keys = [Key("g", name) for name in ("set late", "deleted late", "set early", "deleted early")]
    await store.commit(Commit(now_ms=0, writes=dict.fromkeys(keys, _TELLING)))

    await store.commit(Commit(now_ms=999, writes={keys[2]: Write(b"2"), keys[3]: Write(None)}))
    await store.commit(Commit(now_ms=1_000, writes={keys[0]: Write(b"2"), keys[1]: Write(None)}))

    lapsed = await store.lapsed(limit=9, now_ms=1_000)
    assert {(each.key.key, each.data) for each in lapsed} == {
        ("set late", b"1"),
        ("deleted late", b"1"),
    }
    found = [(key, value.data) for key, value in await store.read_group("g", None, 1_000)]
    assert found == [("set early", b"2"), ("set late", b"2")]


async def test_store_moves_nothing_for_a_commit_that_fails(store: Store) -> None:
    """A commit in conflict that would have overwritten a lapsed value leaves it where it is."""
    await store.commit(Commit(now_ms=0, writes={KEY: _TELLING}))

    with pytest.raises(Conflict):
        await store.commit(
            Commit(now_ms=1_000, reads={Key("a", "b"): 77}, writes={KEY: Write(b"2")})
        )

    assert (await store.read(KEY, 999)).data == b"1"
    assert len(await store.lapsed(limit=9, now_ms=1_000)) == 1


async def test_store_returns_no_more_lapsed_values_than_asked(store: Store) -> None:
    """The limit holds; what lapsed first comes first."""
    writes = {Key("g", f"{n}"): Write(b"1", 10 - n, "t") for n in range(5)}
    await store.commit(Commit(now_ms=0, writes=writes))

    lapsed = await store.lapsed(limit=2, now_ms=10)

    assert [each.key.key for each in lapsed] == ["4", "3"]


async def test_store_forgets_a_lapse_with_its_time(store: Store) -> None:
    """A value set again without a time to live neither lapses nor tells."""
    await store.commit(Commit(now_ms=0, writes={KEY: _TELLING}))
    await store.commit(setting(KEY, data=b"2"))

    assert await store.lapsed(limit=9, now_ms=2_000) == []
    assert (await store.read(KEY, 2_000)).data == b"2"
