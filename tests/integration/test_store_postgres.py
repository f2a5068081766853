"""What only the store on PostgreSQL does: batches, other processes, a database that goes away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.postgres import Postgres
from tests.support.steps import until
from tests.support.stores import (
    KEY,
    STEP,
    change,
    claim,
    claim_one,
    emit,
    end,
    event,
    setting,
    winners,
)
from tidegate.errors import Conflict, Misconfigured, StoreAway
from tidegate.store.model import (
    ABSENT,
    WAITS,
    Commit,
    Event,
    GroupRead,
    Key,
    Suspension,
    Waiter,
    Write,
)
from tidegate.store.open import open_store
from tidegate.store.port import Store
from tidegate.store.postgres import migrations
from tidegate.store.postgres.store import open_postgres

pytestmark = pytest.mark.anyio

_KEYS = [Key(group, key) for group in "gh" for key in "ab"]


async def _sql(url: str, statement: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()


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
        return int((await _sql(url, query))[0][0])

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


async def test_postgres_outlives_a_killed_backend(postgres_url: str) -> None:
    """Connections that are killed cost their callers an error; no commit is done by half."""
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
    outcomes: list[str] = []
    over = anyio.Event()

    async with open_postgres(postgres_url) as store:

        async def write(number: int) -> None:
            while not over.is_set():
                keys = (Key("a", f"{number}"), Key("b", f"{number}"))
                commit = setting(*keys, data=b"%d" % len(outcomes))
                try:
                    await store.commit(commit)
                    outcomes.append("ok")
                except StoreAway:
                    outcomes.append("away")
                    await anyio.sleep(0.01)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(write, number)
            killed = 0
            while killed < 8 or not {"ok", "away"} <= set(outcomes):
                await _grown(outcomes, by=20)
                await _sql(postgres_url, kill, "tidegate")
                killed += 1
            over.set()
        await until(lambda: _works(store), timeout_s=10)
        first, second = [dict(await store.read_group(group, None, 0)) for group in "ab"]

    assert {"ok", "away"} <= set(outcomes)
    assert {k: v.data for k, v in first.items()} == {k: v.data for k, v in second.items()}


async def _grown(outcomes: list[str], *, by: int) -> None:
    before = len(outcomes)
    await until(lambda: _holds(len(outcomes) >= before + by), timeout_s=20)


async def _works(store: Store) -> bool:
    try:
        await store.read_group("a", None, 0)
        await store.commit(setting(KEY))
    except StoreAway:
        return False
    return True


async def test_postgres_goes_away_and_comes_back(own_postgres: Postgres) -> None:
    """While the database is stopped every call says so soon; started again, calls work."""
    async with open_postgres(own_postgres.new_database()) as store:
        await store.commit(setting(KEY))
        own_postgres.stop()

        with anyio.fail_after(20):
            for _ in range(3):
                with pytest.raises(StoreAway):
                    await store.read(KEY, 0)
            with pytest.raises(StoreAway):
                await store.commit(setting(KEY, data=b"2"))
            with pytest.raises(StoreAway):
                await claim(store)
        own_postgres.start()

        assert (await store.read(KEY, 0)).data == b"1"
        await store.commit(setting(KEY, data=b"3"))
        assert (await store.read(KEY, 0)).data == b"3"
        assert await claim(store) == []


async def test_postgres_that_hangs_is_away_in_time(own_postgres: Postgres) -> None:
    """A commit that waits for a lock that nobody gives back is refused within 20 s."""
    url = own_postgres.new_database()
    async with open_postgres(url) as store:
        await store.commit(setting(KEY))
        blocker = await asyncpg.connect(url)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE tidegate.state")
            refused = 0

            async def refuse() -> None:
                nonlocal refused
                with pytest.raises(StoreAway):
                    await store.commit(setting(KEY))
                refused += 1

            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(refuse)
        await blocker.close()
        await until(lambda: _works(store), timeout_s=10)

    assert refused == 100


async def test_postgres_tells_other_processes(postgres_url: str) -> None:
    """A watcher hears of commits, redrives and answers of other stores, and not of its own."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        heard: list[str | None] = []
        own: list[str | None] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.watch, heard.append)
            tasks.start_soon(store.watch, own.append)
            await until(lambda: _holds(heard == own == [None]), timeout_s=10)

            await emit(store, event())
            await until(lambda: _holds(heard == [None, STEP]), timeout_s=10)
            held = await claim_one(other)
            await other.bury(held, error="", stack="", now_ms=0)
            await store.redrive(None, 0)
            await until(lambda: _holds(heard == [None, STEP, STEP]), timeout_s=10)
            held = await claim_one(store)
            waiter = Waiter(held.id, "w", "paid", b"")
            await store.commit(Commit(now_ms=0, suspension=Suspension(held.claim, 99, {}, waiter)))
            await emit(store, Event("paid", b"", "trace"))
            await until(lambda: _holds(heard[-1] == WAITS), timeout_s=10)
            await store.answer(waiter, b"", now_ms=0)
            await until(lambda: _holds(heard[-1] == STEP), timeout_s=10)

            assert own in ([None], [None, WAITS])
            tasks.cancel_scope.cancel()

        assert await _sql(postgres_url, "SELECT * FROM tidegate.watcher") == []


async def _holds(condition: bool) -> bool:  # noqa: FBT001 - a condition is what it is
    return condition


async def test_postgres_tells_of_lanes_that_go_on(postgres_url: str) -> None:
    """Who ends the head of a lane tells everybody, itself included, that the next one is due."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        await emit(store, event(lane="a"), event(lane="a"), event(lane="a"))
        heard: list[str | None] = []
        own: list[str | None] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.watch, heard.append)
            tasks.start_soon(store.watch, own.append)
            await until(lambda: _holds(heard == own == [None]), timeout_s=10)

            await end(store, (await claim_one(store)).claim)
            await until(lambda: _holds(heard == own == [None, STEP]), timeout_s=10)
            await store.bury(await claim_one(store), error="", stack="", now_ms=0)
            await until(lambda: _holds(heard == [None, STEP, STEP]), timeout_s=10)
            tasks.cancel_scope.cancel()


async def test_postgres_watches_again_after_a_lost_connection(postgres_url: str) -> None:
    """When its connection is lost a watcher listens anew, and looks at every step once."""
    async with open_postgres(postgres_url) as store, open_postgres(postgres_url) as other:
        heard: list[str | None] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.watch, heard.append)
            await until(lambda: _holds(heard == [None]), timeout_s=10)
            await _sql(
                postgres_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'",
            )
            await until(lambda: _holds(heard == [None, None]), timeout_s=10)
            await emit(store, event())
            await until(lambda: _holds(heard == [None, None, STEP]), timeout_s=10)
            tasks.cancel_scope.cancel()


async def test_postgres_keeps_so_many_dead_letters(postgres_url: str) -> None:
    """Beyond the bound the oldest letters go, also when numbers between them are missing."""
    bury = "SELECT tidegate.bury('', $1, 1, 'step', NULL, '', '', 0, 3)"
    async with open_postgres(postgres_url) as store:
        await emit(store, *(event() for _ in range(6)))
        held = await claim(store)

        async def dropped(place: int) -> int:
            [[count]] = await _sql(postgres_url, bury, held[place].id)
            return int(count)

        assert [await dropped(place) for place in range(4)] == [0, 0, 0, 1]
        await store.purge_dead([3])
        assert [await dropped(place) for place in (4, 5)] == [0, 1]
        assert [letter.id for letter in await store.dead(limit=9)] == [4, 5, 6]


async def test_postgres_brings_an_old_database_up_to_date(postgres_url: str) -> None:
    """What the first schema held is there after the migrations, whoever starts first."""
    async with open_postgres(postgres_url):
        pass
    await _downgrade(postgres_url)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(_open_and_close, postgres_url)

    async with open_postgres(postgres_url) as store:
        assert (await store.read(KEY, 0)).data == b"1"
        [held] = await claim(store)
        assert (held.fence, held.attempt, held.payload) == (3, 3, b"x")
        await emit(store, event(known_as="known"))
        assert await store.pending(STEP) == 1


async def _open_and_close(url: str) -> None:
    async with open_postgres(url):
        pass


async def _downgrade(url: str) -> None:
    """Put the database into the shape in which the first version left it."""
    first = min((Path(migrations.__file__).parent / "schema").glob("*.sql"))
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA tidegate CASCADE")
    await connection.execute(first.read_text("utf-8"))
    await connection.execute(
        """
        INSERT INTO tidegate.state VALUES ('group', 'key', '1', 7, NULL);
        INSERT INTO tidegate.delivery (step, topic, payload, due_at, attempt, trace_id)
        VALUES ('step', 'topic', 'x', 0, 2, 'trace');
        INSERT INTO tidegate.emitted VALUES ('topic', 'known', 'a', 1), ('topic', 'known', 'b', 2);
        """
    )
    await connection.close()


async def test_postgres_refuses_a_newer_database(postgres_url: str) -> None:
    """A schema from the future is the operator's to solve: install that version."""
    async with open_postgres(postgres_url):
        pass
    await _sql(postgres_url, "INSERT INTO tidegate.migration (number) VALUES (99)")

    with pytest.raises(Misconfigured, match="newer version"):
        await _open_and_close(postgres_url)


async def test_postgres_is_misconfigured_without_its_database(postgres_url: str) -> None:
    """A database that is not there, or a user who may not, is not waited for."""
    for url in (f"{postgres_url}_not", postgres_url.replace("tests@", "nobody:secret@")):
        with pytest.raises(Misconfigured) as caught:
            async with open_store(url):
                pass
        assert "secret" not in str(caught.value)
