"""What becomes of claimed deliveries in every store: journals, waits, dead letters."""

import pytest

from tests.support.stores import KEY, STEP, claim, claim_one, emit, end, event, suspend
from tidegate.errors import Conflict, LeaseLost
from tidegate.store.model import (
    WAITS,
    Address,
    Claim,
    Commit,
    Delivery,
    Event,
    Key,
    Suspension,
    Waiter,
    Write,
)
from tidegate.store.port import Store

pytestmark = pytest.mark.anyio


async def _waits(store: Store, *, now: int = 0) -> list[Delivery]:
    return await store.claim(WAITS, limit=9, now_ms=now, lease_until_ms=now + 1)


async def _waiting(store: Store, *, topic: str = "paid", due: int = 500) -> Waiter:
    """Have a delivery wait; returns what it waits for."""
    await emit(store, event())
    held = await claim_one(store)
    waiter = Waiter(held.id, "wait", topic, b"{}")
    await suspend(store, held.claim, due=due, waiter=waiter)
    return waiter


async def test_store_keeps_the_journal_until_the_end(store: Store) -> None:
    """A recorded result comes with every later claim; the first record of a name stays."""
    await emit(store, event())
    first = await claim_one(store, until=1)
    assert await store.record(first.claim, "charge", b"ok") == b"ok"
    assert await store.record(first.claim, "charge", b"again") == b"ok"
    await store.retry(first.claim, due_at_ms=5)

    again = await claim_one(store, now=5, until=9)

    assert again.journal == {"charge": b"ok"}
    assert (again.attempt, await store.next_due_ms([STEP])) == (2, 9)


async def test_store_suspends_without_counting_the_attempt(store: Store) -> None:
    """A suspended delivery comes back at its time with its journal; the fence goes on."""
    await emit(store, event())
    first = await claim_one(store)
    await store.record(first.claim, "charge", b"ok")
    await suspend(store, first.claim, due=500)
    assert await claim(store, now=499) == []
    assert await store.release_all(now_ms=0) == 0

    again = await claim_one(store, now=500)

    assert (again.attempt, again.fence) == (1, 2)
    assert again.journal == {"charge": b"ok", "mark": b"1"}
    with pytest.raises(LeaseLost):
        await suspend(store, first.claim, due=900)


async def test_store_suspends_as_part_of_a_commit(store: Store) -> None:
    """A stale commit that suspends changes nothing; a sound one writes and suspends at once."""
    await emit(store, event())
    held = await claim_one(store)
    suspension = Suspension(held.claim, 500, {"mark": b"1"}, Waiter(held.id, "w", "paid", b""))
    with pytest.raises(Conflict):
        await store.commit(Commit(now_ms=0, reads={Key("a", "b"): 7}, suspension=suspension))
    assert await store.waiters("paid") == []

    await store.commit(Commit(now_ms=0, writes={KEY: Write(b"1")}, suspension=suspension))

    assert (await store.read(KEY, 0)).data == b"1"
    assert await store.next_due_ms([STEP]) == 500
    assert await store.waiters("paid") == [suspension.waiter]


async def test_store_delivers_awaited_events_to_the_waits(store: Store) -> None:
    """While somebody waits for a topic each event of it goes to `WAITS`, with a step or without."""
    nobody = Event("paid", b"data", "trace")
    await store.commit(Commit(now_ms=0, events=[nobody]))
    await _waiting(store)

    committed = await store.commit(Commit(now_ms=3, events=[nobody, event(), nobody]))

    assert committed.awaited is True
    assert [(d.topic, d.payload) for d in await _waits(store, now=3)] == [("paid", b"data")] * 2


async def test_store_drops_awaited_events_of_a_known_id(store: Store) -> None:
    """An awaited event with an id seen before is not delivered to the waits either."""
    await _waiting(store)
    await emit(store, Event("paid", b"1", "trace", (), "a"), Event("paid", b"2", "trace", (), "a"))
    await emit(store, Event("paid", b"3", "trace", (), "a"))

    assert [d.payload for d in await _waits(store)] == [b"1"]


async def test_store_wakes_who_is_answered(store: Store) -> None:
    """An answer is journaled and makes the delivery due; the wait is over, a second is nothing."""
    waiter = await _waiting(store)
    assert await store.waiters("paid") == [waiter]
    await store.answer(waiter, b"answer", now_ms=7)
    await store.answer(waiter, b"another", now_ms=8)

    assert await store.waiters("paid") == []
    assert (await claim_one(store, now=7)).journal == {"mark": b"1", "wait": b"answer"}


async def test_store_does_not_wake_who_runs_already(store: Store) -> None:
    """An answer that comes after the wait's time may be journaled, but makes nothing due."""
    waiter = await _waiting(store, due=10)
    running = await claim_one(store, now=10)
    await store.answer(waiter, b"late", now_ms=11)

    assert await claim(store, now=11) == []
    assert await store.record(running.claim, "wait", b"timeout") in (b"timeout", b"late")
    await end(store, running.claim)
    assert await store.pending(STEP) == 0


async def test_store_ends_waits_with_their_delivery(store: Store) -> None:
    """An answer to a delivery that is gone changes nothing."""
    waiter = await _waiting(store, due=10)
    await end(store, (await claim_one(store, now=10)).claim)
    assert await store.waiters("paid") == []

    await store.answer(waiter, b"late", now_ms=11)

    assert await store.pending(STEP) == 0


async def test_store_buries_and_redrives(store: Store) -> None:
    """A dead letter is listed with its error, and redriven alone with all its attempts."""
    await emit(store, event(b"1"), event(b"2"))
    for delivery in await claim(store):
        await store.record(delivery.claim, "charge", b"ok")
        await store.bury(delivery, error="boom", stack="stack", now_ms=7)

    [first, second] = await store.dead(limit=9)
    assert await store.redrive([first.id], 10) == 1

    assert (first.error, first.stack, first.attempts, first.died_at_ms) == ("boom", "stack", 1, 7)
    assert await store.dead_letter(second.id) == second
    assert await store.dead_letter(first.id) is None
    assert await store.dead(limit=9) == [second]
    assert await store.dead(limit=9, after_id=second.id) == []
    again = await claim_one(store, now=10)
    assert (again.payload, again.attempt, again.journal) == (b"1", 1, {"charge": b"ok"})
    assert await store.redrive([first.id], 10) == 0


async def test_store_redrives_and_purges_all(store: Store) -> None:
    """None stands for all of them; ids that are no letters count nothing."""
    await emit(store, *(event() for _ in range(4)))
    for delivery in await claim(store):
        await store.bury(delivery, error="", stack="", now_ms=0)
    first, second, *_ = await store.dead(limit=9)

    assert await store.purge_dead([first.id, 10**6]) == 1
    assert await store.redrive([second.id, first.id], 0) == 1
    assert await store.redrive(None, 0) == 2
    assert await store.purge_dead(None) == 0
    assert await store.dead(limit=9) == []
    assert len(await claim(store)) == 3


async def test_store_lists_the_newest_dead_first(store: Store) -> None:
    """The newest come first, from below an id and of one step when that is asked; counted so."""
    to_other = Event("topic", b"3", "trace", (Address("other", 0),))
    await emit(store, event(b"1"), event(b"2"), to_other)
    [other] = await store.claim("other", limit=1, now_ms=0, lease_until_ms=9)
    for delivery in (*await claim(store), other):
        await store.bury(delivery, error="", stack="", now_ms=7)

    newest = await store.newest_dead(limit=2, longest=9)
    older = await store.newest_dead(limit=9, longest=9, before_id=newest[-1].id)
    of_step = await store.newest_dead(limit=9, longest=9, step=STEP)

    assert [letter.payload for letter in newest + older] == [b"3", b"2", b"1"]
    assert [letter.payload for letter in of_step] == [b"2", b"1"]
    assert newest[0][1:] == ("other", "topic", b"3", 1, "", "", 1, 7)
    assert await store.dead_counts() == [("other", 1), (STEP, 2)]
    assert await store.newest_dead(limit=9, longest=9, step="nobody") == []


async def test_store_lists_the_dead_without_what_is_long(store: Store) -> None:
    """A long payload is left out, of a long error the start stays, of a long stack the end."""
    await emit(store, event(b"fits"), event(b"longer"))
    for delivery in await claim(store):
        await store.bury(delivery, error="\xfcber alles", stack="frames: \xfcber", now_ms=0)

    longer, fits = await store.newest_dead(limit=9, longest=4)

    assert (fits.payload, fits.size_bytes) == (b"fits", 4)
    assert (longer.payload, longer.size_bytes) == (None, 6)
    assert (fits.error, fits.stack) == ("\xfcber", "\xfcber")


async def test_store_fences_off_runs_from_before_the_death(store: Store) -> None:
    """A redriven delivery is a new claim: whoever held it before its death cannot end it."""
    await emit(store, event())
    held = await claim_one(store)
    await store.bury(held, error="", stack="", now_ms=0)
    await store.redrive(None, 0)
    again = await claim_one(store)

    with pytest.raises(LeaseLost):
        await end(store, held.claim)
    await end(store, again.claim)


async def test_store_goes_on_in_a_lane_whose_head_died(store: Store) -> None:
    """A dead head lets the next go on; redriven it comes after the one being handled."""
    await emit(store, *(event(payload, lane="a") for payload in (b"1", b"2", b"3")))
    await store.bury(await claim_one(store), error="", stack="", now_ms=0)
    second = await claim_one(store)
    await store.redrive(None, 0)

    assert second.payload == b"2"
    assert await claim(store) == []
    await end(store, second.claim)
    redriven = await claim_one(store)
    await end(store, redriven.claim)
    assert (redriven.payload, (await claim_one(store)).payload) == (b"1", b"3")


async def test_store_keeps_any_error_of_a_dead_letter(store: Store) -> None:
    """An error's text may hold what a database keeps in no text."""
    await emit(store, event())

    await store.bury(await claim_one(store), error="a\0b\udcff", stack="", now_ms=0)

    [letter] = await store.dead(limit=1)
    assert letter.error[0] == "a"
    assert letter.error[2] == "b"


async def test_store_claims_say_what_they_are(store: Store) -> None:
    """A delivery's claim has its lane and step, for whoever ends it."""
    await emit(store, event(lane="a"))

    held = await claim_one(store)

    assert held.claim == Claim(held.id, 1, STEP, "a")
