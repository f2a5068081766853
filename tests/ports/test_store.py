"""What every state and event store does."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tidegate.errors import Conflict, LeaseLost, NonRetriable
from tidegate.store.port import ABSENT, Claim, Commit, GroupRead, Key, NewDelivery, Store, Write
from tidegate.store.sqlite import open_sqlite

pytestmark = pytest.mark.anyio
KEY = Key("group", "key")


@pytest.fixture(params=["sqlite"])
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open each adapter on an empty place."""
    async with open_sqlite(tmp_path / "state.db") as opened:
        yield opened


def _delivery(payload: bytes = b"x", *, due: int = 0, dedup: str | None = None) -> NewDelivery:
    return NewDelivery("step", "topic", payload, due, "trace", dedup)


async def test_store_reads_what_was_committed(store: Store) -> None:
    """A written value comes back with a version of its own; a deleted one is absent."""
    await store.commit(Commit(writes={KEY: Write(b"1")}))
    first = await store.read(KEY, 0)
    await store.commit(Commit(writes={KEY: Write(None)}))

    assert first.data == b"1"
    assert first.version != ABSENT
    assert (await store.read(KEY, 0)).data is None


async def test_store_refuses_a_commit_on_a_stale_read(store: Store) -> None:
    """A value that changed since it was read is a conflict, and nothing is applied."""
    await store.commit(Commit(writes={KEY: Write(b"1")}))
    seen = await store.read(KEY, 0)
    await store.commit(Commit(writes={KEY: Write(b"2")}))

    with pytest.raises(Conflict):
        await store.commit(Commit(reads={KEY: seen.version}, writes={KEY: Write(b"3")}))

    assert (await store.read(KEY, 0)).data == b"2"


async def test_store_sees_a_key_deleted_and_set_again(store: Store) -> None:
    """Deleting and setting the same bytes is a change, not a return to the old version."""
    await store.commit(Commit(writes={KEY: Write(b"1")}))
    seen = await store.read(KEY, 0)
    await store.commit(Commit(writes={KEY: Write(None)}))
    await store.commit(Commit(writes={KEY: Write(b"1")}))

    with pytest.raises(Conflict):
        await store.commit(Commit(reads={KEY: seen.version}, writes={KEY: Write(b"2")}))


async def test_store_sees_phantoms_in_a_group(store: Store) -> None:
    """A key that appeared in a group since it was read is a conflict."""
    rows = await store.read_group("group", None, 0)
    await store.commit(Commit(writes={KEY: Write(b"1")}))
    read = GroupRead("group", None, tuple((key, value.version) for key, value in rows))

    with pytest.raises(Conflict):
        await store.commit(Commit(group_reads=[read], writes={Key("x", "y"): Write(b"1")}))


async def test_store_keeps_groups_apart(store: Store) -> None:
    """Group `user` never returns what is in `users`; keys come in order; globs match keys."""
    writes = {Key("user", "b"): Write(b"2"), Key("user", "a:1"): Write(b"1")}
    await store.commit(Commit(writes={**writes, Key("users", "c"): Write(b"3")}))

    assert [key for key, _ in await store.read_group("user", None, 0)] == ["a:1", "b"]
    assert [key for key, _ in await store.read_group("user", "a:*", 0)] == ["a:1"]


async def test_store_lapses_exactly(store: Store) -> None:
    """A value with a time to live is there until that moment and not at it."""
    await store.commit(Commit(writes={KEY: Write(b"1", expires_at_ms=1_000)}))

    assert (await store.read(KEY, 999)).data == b"1"
    assert (await store.read(KEY, 1_000)).data is None
    assert await store.purge_lapsed(1_000) == 1


async def test_store_leases_a_delivery_once(store: Store) -> None:
    """A claimed delivery is not claimed again before its lease is over; then its attempt rises."""
    await store.commit(Commit(deliveries=[_delivery()]))

    first = await store.claim("step", limit=5, now_ms=0, lease_until_ms=100)
    meanwhile = await store.claim("step", limit=5, now_ms=99, lease_until_ms=200)
    again = await store.claim("step", limit=5, now_ms=100, lease_until_ms=200)

    assert [d.attempt for d in first] == [1]
    assert meanwhile == []
    assert [d.attempt for d in again] == [2]


async def test_store_does_not_end_a_lost_delivery(store: Store) -> None:
    """A run whose lease went to another cannot commit late."""
    await store.commit(Commit(deliveries=[_delivery()]))
    [stale] = await store.claim("step", limit=1, now_ms=0, lease_until_ms=100)
    await store.claim("step", limit=1, now_ms=100, lease_until_ms=200)

    with pytest.raises(LeaseLost):
        await store.commit(Commit(writes={KEY: Write(b"1")}, done=Claim(stale.id, stale.attempt)))

    assert (await store.read(KEY, 0)).data is None


async def test_store_emits_an_id_once(store: Store) -> None:
    """A second emission with the same id on the same topic is dropped."""
    await store.commit(Commit(deliveries=[_delivery(dedup="a"), _delivery(dedup="a")]))
    await store.commit(Commit(deliveries=[_delivery(dedup="a"), _delivery(dedup="b")]))

    assert len(await store.claim("step", limit=9, now_ms=0, lease_until_ms=1)) == 2


async def test_store_keeps_the_journal_until_the_end(store: Store) -> None:
    """A recorded result comes with every later claim, and goes with the delivery."""
    await store.commit(Commit(deliveries=[_delivery()]))
    [first] = await store.claim("step", limit=1, now_ms=0, lease_until_ms=1)
    await store.record(Claim(first.id, 1), "charge", b"ok")
    await store.retry(Claim(first.id, 1), due_at_ms=5)

    [again] = await store.claim("step", limit=1, now_ms=5, lease_until_ms=9)

    assert again.journal == {"charge": b"ok"}
    assert await store.next_due_ms(["step"]) == 9


async def test_store_buries_and_redrives(store: Store) -> None:
    """A dead letter is listed with its error, and redriven alone with all its attempts."""
    await store.commit(Commit(deliveries=[_delivery(b"1"), _delivery(b"2")]))
    for delivery in await store.claim("step", limit=2, now_ms=0, lease_until_ms=1):
        await store.bury(delivery, error="boom", stack="stack", now_ms=7)

    [first, second] = await store.dead(limit=9)
    assert await store.redrive(first.id, 10)

    assert (first.error, first.attempts, second.payload) == ("boom", 1, b"2")
    assert [letter.id for letter in await store.dead(limit=9)] == [second.id]
    [delivery] = await store.claim("step", limit=9, now_ms=10, lease_until_ms=11)
    assert (delivery.payload, delivery.attempt) == (b"1", 1)
    assert not await store.redrive(first.id, 10)


async def test_store_takes_nothing_from_a_run_that_lost_its_lease(store: Store) -> None:
    """A stale run can neither record, nor give back, nor bury what another has claimed."""
    await store.commit(Commit(deliveries=[_delivery()]))
    [stale] = await store.claim("step", limit=1, now_ms=0, lease_until_ms=1)
    await store.claim("step", limit=1, now_ms=1, lease_until_ms=9)

    with pytest.raises(LeaseLost):
        await store.record(Claim(stale.id, stale.attempt), "charge", b"ok")
    with pytest.raises(LeaseLost):
        await store.retry(Claim(stale.id, stale.attempt), due_at_ms=0)
    with pytest.raises(LeaseLost):
        await store.bury(stale, error="boom", stack="", now_ms=0)

    assert await store.dead(limit=1) == []


async def test_store_checks_a_commit_that_only_reads(store: Store) -> None:
    """Two reads that do not belong together are a conflict even when nothing is written."""
    await store.commit(Commit(writes={KEY: Write(b"1")}))
    seen = await store.read(KEY, 0)
    await store.commit(Commit(writes={KEY: Write(b"2")}))

    with pytest.raises(Conflict):
        await store.commit(Commit(reads={KEY: seen.version}))


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
        tasks.start_soon(commit, Commit(writes={Key("a", "1"): Write(b"1")}))
        tasks.start_soon(commit, Commit(deliveries=[_delivery(due=10**30)]))
        tasks.start_soon(commit, Commit(writes={Key("a", "\udcff"): Write(b"1")}))
        tasks.start_soon(commit, Commit(writes={Key("a", "2"): Write(b"1")}))

    assert sorted(outcomes) == ["ok", "ok", "refused", "refused"]
    assert [key for key, _ in await store.read_group("a", None, 0)] == ["1", "2"]
