"""Commits of several PostgreSQL clients at once: as if one came after the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.from_thread
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.postgres import sql
from tests.support.steps import until
from tests.support.stores import (
    change,
    claim,
    event,
    setting,
    winners,
)
from tidegate.errors import Conflict
from tidegate.store.model import (
    ABSENT,
    Commit,
    GroupRead,
    Key,
    Write,
)
from tidegate.store.port import Store
from tidegate.store.postgres.store import open_postgres

pytestmark = pytest.mark.anyio


_KEYS = [Key(group, key) for group in "gh" for key in "ab"]


# What one commit does: which keys it reads and writes, whether it lists a group and deletes.
_Plan = tuple[frozenset[int], frozenset[int], bool, bool]


_PLANS = st.lists(
    st.tuples(
        st.frozensets(st.integers(0, 3), max_size=3),
        st.frozensets(st.integers(0, 3), max_size=2),
        st.booleans(),
        st.booleans(),
    ),
    min_size=2,
    max_size=8,
)


async def _plan(store: Store, number: int, plan: _Plan) -> Commit:
    reads, writes, lists, deletes = plan
    commit = Commit(now_ms=0)
    for place in sorted(reads):
        commit.reads[_KEYS[place]] = (await store.read(_KEYS[place], 0)).version
    if lists:
        rows = await store.read_group("g", None, 0)
        versions = tuple((key, value.version) for key, value in rows)
        commit.group_reads.append(GroupRead("g", None, versions))
    for place in sorted(writes):
        commit.writes[_KEYS[place]] = Write(None if deletes else b"%d" % number)
    return commit


async def _outcomes(stores: list[Store], commits: list[Commit]) -> list[bool]:
    applied = [False] * len(commits)

    async def attempt(number: int, commit: Commit) -> None:
        try:
            await stores[number % 2].commit(commit)
            applied[number] = True
        except Conflict:
            pass

    async with anyio.create_task_group() as tasks:
        for number, commit in enumerate(commits):
            tasks.start_soon(attempt, number, commit)
    return applied


def _serial(
    before: dict[Key, bytes], commits: list[Commit], applied: list[bool], after: dict[Key, bytes]
) -> bool:
    """Tell whether some order of the applied commits leads from one state to the other.

    All commits have seen the state before: each must find what it read as it was there.
    """

    def reads_the_same(commit: Commit, state: dict[Key, tuple[int, bytes]]) -> bool:
        listed = {read.group for read in commit.group_reads}
        return all(
            state.get(key) == first.get(key)
            for key in _KEYS
            if key in commit.reads or key.group in listed
        )

    def reaches(state: dict[Key, tuple[int, bytes]], left: list[int]) -> bool:
        if not left:
            return {key: data for key, (_, data) in state.items()} == after
        for number in left:
            if not reads_the_same(commits[number], state):
                continue
            then = dict(state)
            for key, write in commits[number].writes.items():
                then.pop(key, None)
                if write.data is not None:
                    then[key] = (number, write.data)
            if reaches(then, [other for other in left if other != number]):
                return True
        return False

    first = {key: (-1, data) for key, data in before.items()}
    return reaches(first, [number for number, ok in enumerate(applied) if ok])


async def _values(store: Store) -> dict[Key, bytes]:
    found = {}
    for group in "gh":
        for key, value in await store.read_group(group, None, 0):
            found[Key(group, key)] = value.data or b""
    return found


async def test_postgres_batches_equal_some_serial_order(postgres_url: str) -> None:
    """Whatever commits two stores hand in at once, those applied make sense one after another."""
    async with AsyncExitStack() as stack:
        stores: list[Store] = [
            await stack.enter_async_context(open_postgres(postgres_url)) for _ in range(2)
        ]
        portal = await stack.enter_async_context(anyio.from_thread.BlockingPortal())

        async def run(plans: list[_Plan]) -> None:
            before = await _values(stores[0])
            commits = [await _plan(stores[0], n, plan) for n, plan in enumerate(plans)]
            applied = await _outcomes(stores, commits)
            after = await _values(stores[0])
            assert any(applied)
            assert _serial(before, commits, applied, after), (plans, applied)

        @settings(
            max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(_PLANS)
        def check(plans: list[_Plan]) -> None:
            portal.call(run, plans)

        await anyio.to_thread.run_sync(check)


@asynccontextmanager
async def _held_up(url: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Hold every commit that changes a stream up, shortly before its end.

    Gives a function that returns how many wait for a lock; on leaving they go on.
    """
    blocker = await asyncpg.connect(url)

    async def waiting() -> int:
        query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
        return int((await sql(url, query))[0][0])

    try:
        async with blocker.transaction():
            await blocker.execute("SELECT FROM tidegate.stream_head FOR UPDATE")
            yield waiting
    finally:
        await blocker.close()


async def _both_held_up(url: str, commits: list[tuple[Store, Commit]]) -> int:
    """Have two commits of two stores under way at the same time; return how many were applied."""
    for store, commit in commits:
        await store.commit(Commit(now_ms=0, changes=[change()]))
        commit.changes = [change()]
    applied = [0]

    async def hand_in() -> None:
        applied[0] = await winners(commits)

    async with anyio.create_task_group() as tasks, _held_up(url) as waiting:

        async def both_wait() -> bool:
            return await waiting() == len(commits)

        tasks.start_soon(hand_in)
        await until(both_wait, timeout_s=7)
    return applied[0]


async def test_postgres_holds_what_is_read_until_the_end(postgres_url: str) -> None:
    """Of two commits that each read what the other writes the second waits, and is refused."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        a, b = Key("g", "a"), Key("g", "b")
        await store.commit(setting(a, b))
        versions = {key: (await store.read(key, 0)).version for key in (a, b)}
        first = Commit(now_ms=0, reads={a: versions[a]}, writes={b: Write(b"2")})
        second = Commit(now_ms=0, reads={b: versions[b]}, writes={a: Write(b"2")})

        assert await _both_held_up(postgres_url, [(store, first), (other, second)]) == 1


async def test_postgres_holds_what_is_absent_until_the_end(postgres_url: str) -> None:
    """The same when neither of the values is there."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        a, b = Key("g", "a"), Key("h", "b")
        first = Commit(now_ms=0, reads={a: ABSENT}, writes={b: Write(b"2")})
        second = Commit(now_ms=0, reads={b: ABSENT}, writes={a: Write(b"2")})

        assert await _both_held_up(postgres_url, [(store, first), (other, second)]) == 1


async def test_postgres_makes_one_of_an_empty_lane_ready(postgres_url: str) -> None:
    """Of two events that enter an empty lane at the same time one is due."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        commits = [Commit(now_ms=0, events=[event(lane="a")]) for _ in range(2)]

        assert (
            await _both_held_up(postgres_url, list(zip((store, other), commits, strict=True))) == 2
        )

        assert len(await claim(store)) == 1
