"""Commits at the same time, of one process and of two: every store is serializable."""

from contextlib import suppress
from random import Random

import anyio
import pytest

from tests.support.stores import KEY, event, setting, winners
from tidegate.errors import Conflict
from tidegate.store.model import ABSENT, Commit, Event, GroupRead, Key, Write
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio


async def test_store_lets_one_of_many_writers_of_an_absent_key_win(
    store: Store, other: Store
) -> None:
    """Of commits that each saw a key absent and set it, exactly one is applied."""
    for number in range(8):
        key = Key("g", f"{number}")
        commit = Commit(now_ms=0, reads={key: ABSENT}, writes={key: Write(b"1")})

        assert await winners([(store, commit), (other, commit)] * 8) == 1


async def test_store_lets_no_two_skew_each_other(store: Store, other: Store) -> None:
    """Of two commits that each read what the other writes, one is applied."""
    for number in range(16):
        a, b = Key("g", f"{number}"), Key("h", f"{number}")
        first = Commit(now_ms=0, reads={a: ABSENT}, writes={b: Write(b"1")})
        second = Commit(now_ms=0, reads={b: ABSENT}, writes={a: Write(b"1")})

        assert await winners([(store, first), (other, second)]) == 1


async def test_store_lets_no_two_skew_on_values_that_are_there(store: Store, other: Store) -> None:
    """The same with values that exist, also when both go through one store."""
    for number in range(16):
        a, b = Key("g", f"{number}"), Key("h", f"{number}")
        await store.commit(setting(a, b))
        reads = {key: (await store.read(key, 0)).version for key in (a, b)}
        first = Commit(now_ms=0, reads=reads, writes={a: Write(None)})
        second = Commit(now_ms=0, reads=reads, writes={b: Write(None)})

        assert await winners([(store, first), ((store, other)[number % 2], second)]) == 1


@pytest.mark.parametrize("pattern", [None, "k*"])
async def test_store_lets_no_phantom_in(store: Store, other: Store, pattern: str | None) -> None:
    """Of commits that each saw an empty group and put a key of their own in, one is applied."""
    for group in "abcdefgh":
        read = GroupRead(group, pattern, ())
        commits = [
            Commit(now_ms=0, group_reads=[read], writes={Key(group, f"k{number}"): Write(b"1")})
            for number in range(16)
        ]

        assert await winners([((store, other)[n % 2], c) for n, c in enumerate(commits)]) == 1
        assert len(await store.read_group(group, None, 0)) == 1


async def test_store_lets_no_list_and_key_skew(store: Store, other: Store) -> None:
    """Of one who lists a group and writes a key, and one who reads the key and writes in, one."""
    for number in range(16):
        key, inside = Key("keys", f"{number}"), Key(f"g{number}", "new")
        lists = Commit(
            now_ms=0, group_reads=[GroupRead(inside.group, None, ())], writes={key: Write(b"1")}
        )
        enters = Commit(now_ms=0, reads={key: ABSENT}, writes={inside: Write(b"1")})

        assert await winners([(store, lists), ((store, other)[number % 2], enters)]) == 1


async def test_store_large_commits_are_safe_beside_small_ones(store: Store, other: Store) -> None:
    """A commit of very many keys and groups conflicts with those of few as any other does."""
    large = setting(*(Key(f"group{n}", f"{n}") for n in range(500)))
    large.reads[KEY] = ABSENT
    large.writes[KEY] = Write(b"1")
    small = Commit(now_ms=0, reads={KEY: ABSENT}, writes={KEY: Write(b"2")})

    assert await winners([(store, small), (other, large), (store, large), (other, small)]) == 1


async def test_store_commits_that_cross_never_wait_for_each_other(
    store: Store, other: Store
) -> None:
    """Many commits of the same keys, ids and lanes in other orders all end: no deadlock."""
    keys = [Key(f"g{n % 3}", f"{n}") for n in range(12)]
    forth = Commit(now_ms=0, writes=dict.fromkeys(keys, Write(b"1")), events=_ids("abc", "xyz"))
    back = Commit(
        now_ms=0, writes=dict.fromkeys(reversed(keys), Write(None)), events=_ids("cba", "zyx")
    )

    with anyio.fail_after(20):
        assert await winners([(store, forth), (other, back)] * 20) == 40


def _ids(ids: str, lanes: str) -> list[Event]:
    return [event(known_as=each, lane=lane) for each, lane in zip(ids, lanes, strict=True)]


async def test_store_emits_an_id_once_for_two_processes(store: Store, other: Store) -> None:
    """Of commits at the same time with the same ids each is emitted once in all."""
    commits = [Commit(now_ms=0, events=_ids(ids, "   ")) for ids in ("abc", "cba", "bcd", "dab")]

    assert await winners([(store, c) for c in commits] + [(other, c) for c in commits]) == 8

    assert await store.pending("step") == 4


async def test_store_counts_every_naive_increment(store: Store, other: Store) -> None:
    """32 loops that read, add one and write, again after each conflict, lose nothing."""
    keys = [Key("c", "1"), Key("c", "2")]

    async def add(adding: Store, key: Key) -> None:
        while True:
            seen = await adding.read(key, 0)
            raised = Write(b"%d" % (int(seen.data or 0) + 1))
            try:
                await adding.commit(
                    Commit(now_ms=0, reads={key: seen.version}, writes={key: raised})
                )
            except Conflict:
                continue
            return

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for number in range(32):
                tasks.start_soon(add, (store, other)[number % 2], keys[number // 16])

    assert [(await store.read(key, 0)).data for key in keys] == [b"16", b"16"]


async def test_store_random_transfers_keep_the_sum(store: Store, other: Store) -> None:
    """Random moves between accounts, some absent and some deleted at nought, keep their sum."""
    names = [Key("bank", f"{number}") for number in range(6)]
    await store.commit(setting(names[0], data=b"100"))
    rng = Random(7)

    async def move(moving: Store, source: Key, target: Key, amount: int) -> None:
        reads = {key: await moving.read(key, 0) for key in (source, target)}
        held = {key: int(stored.data or 0) for key, stored in reads.items()}
        moved = min(amount, held[source])
        held[source] -= moved
        held[target] += moved
        writes = {key: Write(b"%d" % n if n else None) for key, n in held.items()}
        versions = {key: stored.version for key, stored in reads.items()}
        with suppress(Conflict):
            await moving.commit(Commit(now_ms=0, reads=versions, writes=writes))

    for _ in range(12):
        async with anyio.create_task_group() as tasks:
            for number in range(16):
                source, target = rng.sample(names, 2)
                moving = (store, other)[number % 2]
                tasks.start_soon(move, moving, source, target, rng.randrange(60))

    rows = await store.read_group("bank", None, 0)
    assert sum(int(value.data or 0) for _, value in rows) == 100
    assert all(value.data for _, value in rows)
