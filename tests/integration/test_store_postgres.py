"""A PostgreSQL that goes away, hangs and comes back, and what other processes are told."""

import anyio
import anyio.from_thread
import asyncpg
import pytest

from tests.support.postgres import Postgres, sql
from tests.support.steps import until
from tests.support.stores import (
    KEY,
    STEP,
    claim,
    claim_one,
    emit,
    end,
    event,
    setting,
)
from tidegate.errors import StoreAway
from tidegate.store.model import (
    WAITS,
    Commit,
    Event,
    Key,
    Suspension,
    Waiter,
)
from tidegate.store.port import Store
from tidegate.store.postgres.store import open_postgres

pytestmark = pytest.mark.anyio


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
                await sql(postgres_url, kill, "tidegate")
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

        assert await sql(postgres_url, "SELECT * FROM tidegate.watcher") == []


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
            await sql(
                postgres_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'",
            )
            await until(lambda: _holds(heard == [None, None]), timeout_s=10)
            await emit(store, event())
            await until(lambda: _holds(heard == [None, None, STEP]), timeout_s=10)
            tasks.cancel_scope.cancel()
