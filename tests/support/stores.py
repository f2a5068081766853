"""Short ways to say what a test of the store needs."""

import anyio

from tidegate.errors import Conflict
from tidegate.store.model import (
    Address,
    Claim,
    Commit,
    Delivery,
    Event,
    Key,
    StreamChange,
    Suspension,
    Waiter,
    Write,
)
from tidegate.store.port import Store

KEY = Key("group", "key")
STEP = "step"


def setting(*keys: Key, data: bytes = b"1") -> Commit:
    """Return a commit that sets keys, whatever they were."""
    return Commit(now_ms=0, writes={key: Write(data) for key in keys})


def event(
    payload: bytes = b"x", *, due: int = 0, lane: str | None = None, known_as: str | None = None
) -> Event:
    """Return an event for the one step."""
    return Event("topic", payload, "trace", (Address(STEP, due, lane),), known_as)


def change(group: str = "g", data: bytes | None = b"1") -> StreamChange:
    """Return a change of a stream."""
    return StreamChange("stream", group, "set", "id", data)


async def emit(store: Store, *events: Event) -> None:
    """Commit events."""
    await store.commit(Commit(now_ms=0, events=list(events)))


async def claim(
    store: Store, *, now: int = 0, until: int = 1_000, limit: int = 99
) -> list[Delivery]:
    """Claim what is due."""
    return await store.claim(STEP, limit=limit, now_ms=now, lease_until_ms=until)


async def claim_one(store: Store, *, now: int = 0, until: int = 1_000) -> Delivery:
    """Claim the one delivery that is due."""
    [delivery] = await claim(store, now=now, until=until)
    return delivery


async def end(store: Store, *claims: Claim) -> None:
    """End deliveries."""
    await store.commit(Commit(now_ms=0, done=claims))


async def suspend(store: Store, held: Claim, *, due: int, waiter: Waiter | None = None) -> None:
    """Give a delivery back until a time, or until the answer."""
    suspension = Suspension(held, due, {"mark": b"1"}, waiter)
    await store.commit(Commit(now_ms=0, suspension=suspension))


async def winners(commits: list[tuple[Store, Commit]]) -> int:
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
