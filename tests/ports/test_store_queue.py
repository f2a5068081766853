"""What every store does with deliveries: claims, leases, lanes, ids of events."""

import anyio
import pytest

from tests.support.stores import KEY, STEP, claim, claim_one, emit, end, event
from tidegate.errors import Conflict, LeaseLost
from tidegate.store.model import Address, Claim, Commit, Event, Write
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio


async def test_store_leases_a_delivery_once(store: Store) -> None:
    """A claimed delivery is not claimed again before its lease is over; then its fence rises."""
    await emit(store, event())

    first = await claim_one(store, until=100)
    meanwhile = await claim(store, now=99, until=200)
    again = await claim_one(store, now=100, until=200)

    assert (first.fence, first.attempt, first.payload, first.trace_id) == (1, 1, b"x", "trace")
    assert meanwhile == []
    assert (again.id, again.fence, again.attempt) == (first.id, 2, 2)


async def test_store_claims_what_is_due(store: Store) -> None:
    """What is due later waits; the earliest due is claimed first, and no more than asked."""
    await emit(store, event(b"3", due=30), event(b"1", due=10), event(b"2", due=20))

    assert await store.next_due_ms([STEP, "another"]) == 10
    assert await store.next_due_ms(["another"]) is None
    assert [d.payload for d in await claim(store, now=20, limit=1)] == [b"1"]
    assert [d.payload for d in await claim(store, now=20)] == [b"2"]
    assert await store.pending(STEP) == 3
    assert await store.next_due_ms([STEP]) == 30


async def test_store_does_not_end_a_lost_delivery(store: Store) -> None:
    """A run whose lease went to another cannot commit late."""
    await emit(store, event())
    stale = await claim_one(store, until=100)
    await claim_one(store, now=100)

    with pytest.raises(LeaseLost):
        await store.commit(Commit(now_ms=0, writes={KEY: Write(b"1")}, done=(stale.claim,)))

    assert (await store.read(KEY, 0)).data is None


async def test_store_ends_all_deliveries_of_a_commit_or_none(store: Store) -> None:
    """A commit that ends several and has lost one of them changes nothing."""
    await emit(store, event(b"1"), event(b"2", lane="a"), event(b"3", lane="a"))
    held = await claim(store, until=100)
    lost = held[0].claim._replace(fence=7)

    with pytest.raises(LeaseLost):
        await end(store, held[1].claim, lost)
    assert await store.pending(STEP) == 3
    await end(store, *(delivery.claim for delivery in held))

    assert [d.payload for d in await claim(store)] == [b"3"]


async def test_store_ends_a_claim_once(store: Store) -> None:
    """Of two commits that end one delivery at the same time, one is applied."""
    await emit(store, event())
    held = await claim_one(store)
    outcomes = []

    async def attempt(number: int) -> None:
        try:
            await store.commit(
                Commit(now_ms=0, writes={KEY._replace(key=f"{number}"): Write(b"1")},
                       done=(held.claim,))
            )  # fmt: skip
            outcomes.append(True)
        except LeaseLost:
            outcomes.append(False)

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(attempt, number)

    assert sorted(outcomes) == [False] * 5 + [True]
    assert len(await store.read_group("group", None, 0)) == 1


async def test_store_leases_to_the_sender_or_leaves_it(store: Store) -> None:
    """An address with a lease is handed over as if claimed, or it is there to be claimed."""
    asked = Event("topic", b"1", "trace", (Address(STEP, 0, None, 50), Address("b", 0)))
    committed = await store.commit(Commit(now_ms=0, events=[asked]))

    held = list(committed.leased) or await claim(store, until=50)
    assert [(d.step, d.payload, d.fence, d.attempt) for d in held] == [(STEP, b"1", 1, 1)]
    assert await claim(store, now=49, until=99) == []
    assert len(await store.claim("b", limit=9, now_ms=0, lease_until_ms=1)) == 1
    again = await claim_one(store, now=50, until=99)
    assert (again.id, again.fence) == (held[0].id, 2)
    with pytest.raises(LeaseLost):
        await end(store, held[0].claim)


async def test_store_leases_nothing_for_a_commit_that_fails(store: Store) -> None:
    """Of commits at the same time those in conflict neither deliver nor lease."""
    asked = Event("topic", b"1", "trace", (Address(STEP, 0, None, 50),))
    leased: list[int] = []

    async def attempt(number: int) -> None:
        commit = Commit(now_ms=0, reads={KEY: 5 * (number % 2)}, events=[asked])
        try:
            committed = await store.commit(commit)
            leased.extend(delivery.id for delivery in committed.leased)
        except Conflict:
            pass

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(attempt, number)

    assert await store.pending(STEP) == 4
    leased.extend(delivery.id for delivery in await claim(store))
    assert len(set(leased)) == len(leased) == 4


async def test_store_emits_an_id_once(store: Store) -> None:
    """A second emission with the same id on the same topic is dropped, whoever it is for."""
    elsewhere = Event("other", b"", "trace", (Address(STEP, 0),), "a")
    nobody = Event("topic", b"", "trace", (), "c")
    await emit(store, event(known_as="a"), event(known_as="a"), nobody)
    await emit(
        store, event(known_as="a"), event(known_as="b"), elsewhere, event(known_as="c"), event()
    )

    assert await store.pending(STEP) == 4
    assert [d.topic for d in await claim(store)].count("other") == 1


async def test_store_emits_an_id_once_to_all_its_steps(store: Store) -> None:
    """An event with an id and several addresses reaches each; in a lane, too."""
    await emit(store, Event("t", b"1", "trace", (Address(STEP, 0), Address("b", 0, "lane")), "a"))
    await emit(store, Event("t", b"2", "trace", (Address(STEP, 0), Address("b", 0, "lane")), "a"))

    assert (await store.pending(STEP), await store.pending("b")) == (1, 1)


async def test_store_forgets_ids_of_events_in_time(store: Store) -> None:
    """An id counts for a week."""
    await emit(store, event(known_as="a"))
    await store.purge(7 * 24 * 3600 * 1000 - 1)
    await emit(store, event(known_as="a"))
    await store.purge(7 * 24 * 3600 * 1000)
    await emit(store, event(known_as="a"))

    assert await store.pending(STEP) == 2


async def test_store_delivers_in_the_order_of_emission(store: Store) -> None:
    """Deliveries due at the same time are claimed in the order in which they were emitted."""
    payloads = [str(number).encode() for number in range(300)]
    await emit(store, *(event(payload) for payload in payloads))

    assert [d.payload for d in await claim(store, limit=300)] == payloads


async def test_store_renews_leases(store: Store) -> None:
    """A renewed lease lasts until its new time; one that is lost is left alone."""
    await emit(store, event(b"1"), event(b"2"))
    first, second = await claim(store, until=100)
    await store.renew([first.claim, second.claim._replace(fence=9)], lease_until_ms=300)

    assert [d.id for d in await claim(store, now=299, until=400)] == [second.id]
    await store.renew([], lease_until_ms=500)
    assert await store.next_due_ms([STEP]) == 300


async def test_store_releases_all_leases(store: Store) -> None:
    """What is leased is due at once; what waits for its time or was given back is not."""
    await emit(store, event(b"1"), event(b"2"), event(b"3", due=500))
    first, second = await claim(store)
    await store.retry(second.claim, due_at_ms=700)

    assert await store.release_all(now_ms=10) == 1
    assert [d.id for d in await claim(store, now=10)] == [first.id]


async def test_store_hands_a_lane_out_one_by_one(store: Store) -> None:
    """Of a lane only the first is due until it is ended; lanes do not hold each other up."""
    await emit(store, event(b"a1", lane="a"), event(b"a2", lane="a"), event(b"b1", lane="b"))
    await emit(store, event(b"a3", lane="a"))
    await emit(store, Event("t", b"else", "", (Address("other", 0, "a"),)))

    held = await claim(store)
    assert [d.payload for d in held] == [b"a1", b"b1"]
    assert await claim(store) == []
    assert len(await store.claim("other", limit=9, now_ms=0, lease_until_ms=1)) == 1
    await end(store, held[0].claim)
    second = await claim_one(store)
    await end(store, second.claim)

    assert (second.payload, (await claim_one(store)).payload) == (b"a2", b"a3")
    assert await store.pending(STEP) == 2


async def test_store_keeps_a_lane_behind_its_failing_head(store: Store) -> None:
    """A head that is tried again later blocks its lane, even if the next has been due before."""
    await emit(store, event(b"1", lane="a"), event(b"2", lane="a"))
    head = await claim_one(store)
    await store.retry(head.claim, due_at_ms=500)

    assert await claim(store, now=499) == []
    assert (await claim_one(store, now=500)).payload == b"1"


async def test_store_goes_on_in_a_lane_within_one_commit(store: Store) -> None:
    """A commit that ends a lane's only event and emits two into it makes the first of them due."""
    await emit(store, event(b"1", lane="a"))
    head = await claim_one(store)
    await store.commit(
        Commit(now_ms=0, events=[event(b"2", lane="a"), event(b"3", lane="a")], done=(head.claim,))
    )

    assert [d.payload for d in await claim(store)] == [b"2"]


async def test_store_lanes_of_two_processes_keep_their_order(store: Store, other: Store) -> None:
    """While two stores emit into and handle three lanes, each lane is handled in order."""
    handled: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    busy: set[str] = set()
    sent = dict.fromkeys("abc", 0)

    async def send(sending: Store) -> None:
        for number in range(30):
            lane = "abc"[number % 3]
            await sending.commit(Commit(now_ms=0, events=[event(b"%d" % number, lane=lane)]))
            sent[lane] += 1

    async def handle(handling: Store) -> None:
        while sum(map(len, handled.values())) < 60:
            for delivery in await claim(handling, limit=2):
                lane = str(delivery.lane)
                assert lane not in busy
                busy.add(lane)
                handled[lane].append(delivery.id)
                busy.discard(lane)
                await end(handling, delivery.claim)

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for each in (store, other):
                tasks.start_soon(send, each)
                tasks.start_soon(handle, each)

    assert all(ids == sorted(ids) for ids in handled.values())
    assert sum(sent.values()) == sum(map(len, handled.values())) == 60


async def test_store_two_of_one_place_share_deliveries(store: Store, other: Store) -> None:
    """What one process claims the other does not, also when both claim at the same time."""
    await emit(store, *(event() for _ in range(100)))
    claimed: list[int] = []

    async def claim_all(claiming: Store) -> None:
        while got := await claim(claiming, limit=3):
            claimed.extend(delivery.id for delivery in got)
            for delivery in got:
                await end(claiming, delivery.claim)

    async with anyio.create_task_group() as tasks:
        for claiming in (store, other, store, other):
            tasks.start_soon(claim_all, claiming)

    assert len(claimed) == 100
    assert len(set(claimed)) == 100
    assert await store.next_due_ms([STEP]) is None


async def test_store_takes_nothing_from_a_run_that_lost_its_lease(store: Store) -> None:
    """A stale run can neither record, nor give back, nor bury what another has claimed."""
    await emit(store, event())
    stale = await claim_one(store, until=1)
    await claim_one(store, now=1)

    with pytest.raises(LeaseLost):
        await store.record(stale.claim, "charge", b"ok")
    with pytest.raises(LeaseLost):
        await store.retry(stale.claim, due_at_ms=0)
    with pytest.raises(LeaseLost):
        await store.bury(stale, error="boom", stack="", now_ms=0)
    with pytest.raises(LeaseLost):
        await store.record(Claim(stale.id + 1, 1, STEP), "charge", b"ok")

    assert await store.dead(limit=1) == []
