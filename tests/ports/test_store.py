"""What every state and event store does."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tidegate.errors import Conflict, LeaseLost, Misconfigured, NonRetriable
from tidegate.store.open import open_store
from tidegate.store.port import ABSENT, Claim, Commit, GroupRead, Key, NewDelivery, Store, Write

pytestmark = pytest.mark.anyio
KEY = Key("group", "key")


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty place of each adapter."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """Open it."""
    async with open_store(store_url) as opened:
        yield opened


@pytest.fixture
async def other(store: Store, store_url: str) -> AsyncIterator[Store]:
    """Open the same place once more, as another process does."""
    async with open_store(store_url) as opened:
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
    writes = {Key("g", key): Write(b"1") for key in reversed(_GLOBS["*"])}
    await store.commit(Commit(writes=writes))

    found = {glob: [key for key, _ in await store.read_group("g", glob, 0)] for glob in _GLOBS}

    assert found == _GLOBS


async def test_store_lapses_exactly(store: Store) -> None:
    """A value with a time to live is there until that moment and not at it."""
    await store.commit(Commit(writes={KEY: Write(b"1", expires_at_ms=1_000)}))

    assert (await store.read(KEY, 999)).data == b"1"
    assert (await store.read(KEY, 1_000)).data is None
    assert await store.purge_lapsed(1_000) == 1


async def test_store_purges_any_number(store: Store) -> None:
    """All lapsed values go at once, however many; what is kept for good stays."""
    lapsed = {Key("g", f"{n}"): Write(b"1", expires_at_ms=5) for n in range(10_001)}
    await store.commit(Commit(writes={**lapsed, KEY: Write(b"1")}))

    assert await store.purge_lapsed(5) == 10_001
    assert (await store.read(KEY, 5)).data == b"1"


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


async def test_store_two_of_one_place_share_deliveries(store: Store, other: Store) -> None:
    """What one process claims the other does not, also when both claim at the same time."""
    await store.commit(Commit(deliveries=[_delivery() for _ in range(100)]))
    claimed: list[int] = []

    async def claim_all(claiming: Store) -> None:
        while got := await claiming.claim("step", limit=3, now_ms=0, lease_until_ms=9):
            claimed.extend(delivery.id for delivery in got)
            for delivery in got:
                await claiming.commit(Commit(done=Claim(delivery.id, delivery.attempt)))

    async with anyio.create_task_group() as tasks:
        for claiming in (store, other, store, other):
            tasks.start_soon(claim_all, claiming)

    assert len(claimed) == 100
    assert len(set(claimed)) == 100
    assert await store.next_due_ms(["step"]) is None


async def _winners(commits: list[tuple[Store, Commit]]) -> int:
    """Hand in commits at the same time; return how many were applied."""
    applied: list[Commit] = []

    async def attempt(store: Store, commit: Commit) -> None:
        try:
            await store.commit(commit)
            applied.append(commit)
        except Conflict:
            pass

    async with anyio.create_task_group() as tasks:
        for store, commit in commits:
            tasks.start_soon(attempt, store, commit)
    return len(applied)


async def test_store_lets_one_of_many_writers_of_an_absent_key_win(
    store: Store, other: Store
) -> None:
    """Of commits that each saw a key absent and set it, exactly one is applied."""
    for number in range(8):
        key = Key("g", f"{number}")
        commit = Commit(reads={key: ABSENT}, writes={key: Write(b"1")})

        assert await _winners([(store, commit), (other, commit)] * 8) == 1


async def test_store_lets_no_two_skew_each_other(store: Store, other: Store) -> None:
    """Of two commits that each read what the other writes, one is applied."""
    for number in range(16):
        a, b = Key("g", f"{number}"), Key("h", f"{number}")
        first = Commit(reads={a: ABSENT}, writes={b: Write(b"1")})
        second = Commit(reads={b: ABSENT}, writes={a: Write(b"1")})

        assert await _winners([(store, first), (other, second)]) == 1


@pytest.mark.parametrize("pattern", [None, "k*"])
async def test_store_lets_no_phantom_in(store: Store, other: Store, pattern: str | None) -> None:
    """Of commits that each saw an empty group and put a key of their own in, one is applied."""
    for group in "abcdefgh":
        read = GroupRead(group, pattern, ())
        commits = [
            Commit(group_reads=[read], writes={Key(group, f"k{number}"): Write(b"1")})
            for number in range(16)
        ]

        assert await _winners([((store, other)[n % 2], c) for n, c in enumerate(commits)]) == 1
        assert len(await store.read_group(group, None, 0)) == 1


async def test_store_large_commits_are_safe_beside_small_ones(store: Store, other: Store) -> None:
    """A commit of very many keys conflicts with those of few as any other does."""
    large = Commit(
        reads={KEY: ABSENT}, writes={Key("group", f"{n}"): Write(b"1") for n in range(500)}
    )
    large.writes[KEY] = Write(b"1")
    small = Commit(reads={KEY: ABSENT}, writes={KEY: Write(b"2")})

    assert await _winners([(store, small), (other, large), (store, large), (other, small)]) == 1


async def test_store_commits_that_cross_never_wait_for_each_other(
    store: Store, other: Store
) -> None:
    """Many commits of the same keys in other orders all end: there is no deadlock."""
    keys = [Key(f"g{n % 3}", f"{n}") for n in range(12)]
    forth = Commit(writes=dict.fromkeys(keys, Write(b"1")), deliveries=_ids("abc"))
    back = Commit(writes=dict.fromkeys(reversed(keys), Write(None)), deliveries=_ids("cba"))

    with anyio.fail_after(20):
        assert await _winners([(store, forth), (other, back)] * 20) == 40


def _ids(ids: str) -> list[NewDelivery]:
    return [_delivery(dedup=each) for each in ids]


async def test_store_delivers_in_the_order_of_emission(store: Store) -> None:
    """Deliveries due at the same time are claimed in the order in which they were emitted."""
    payloads = [str(number).encode() for number in range(300)]
    await store.commit(Commit(deliveries=[_delivery(payload) for payload in payloads]))

    claimed = await store.claim("step", limit=300, now_ms=0, lease_until_ms=1)

    assert [delivery.payload for delivery in claimed] == payloads


async def test_store_keeps_any_error_of_a_dead_letter(store: Store) -> None:
    """An error's text may hold what a database keeps in no text."""
    await store.commit(Commit(deliveries=[_delivery()]))
    [delivery] = await store.claim("step", limit=1, now_ms=0, lease_until_ms=1)

    await store.bury(delivery, error="a\0b", stack="", now_ms=0)

    [letter] = await store.dead(limit=1)
    assert letter.error[0] + letter.error[-1] == "ab"


async def test_store_outlives_cancelled_callers(store: Store) -> None:
    """Callers that give up half-way take nothing with them: later ones are served."""
    for number in range(40):
        with anyio.move_on_after(0.0005 * (number % 5)):
            await store.commit(Commit(reads={}, writes={KEY: Write(b"1")}))

    with anyio.fail_after(5):
        await store.commit(Commit(writes={KEY: Write(b"2")}))
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


async def test_store_postgres_is_misconfigured_without_its_database(postgres_url: str) -> None:
    """A database that is not there, or a user who may not, is not waited for."""
    for url in (f"{postgres_url}_not", postgres_url.replace("tests@", "nobody:secret@")):
        with pytest.raises(Misconfigured) as caught:
            async with open_store(url):
                pass
        assert "secret" not in str(caught.value)
