"""What becomes of deliveries: claims, journals, waits, retries, dead letters."""

import sqlite3
from collections.abc import Sequence

from tidegate.errors import LeaseLost
from tidegate.store.bounds import MAX_DEAD, dead_dropped
from tidegate.store.model import Claim, Delivery, Waiter
from tidegate.store.sqlite.commits import expect_claim, free_lane, lease_lost, record_result
from tidegate.store.sqlite.statements import SQL


def claim(
    db: sqlite3.Connection, step: str, limit: int, now_ms: int, lease_until_ms: int
) -> list[Delivery]:
    """Lease due deliveries, oldest first."""
    rows = db.execute(SQL["claim"], (lease_until_ms, step, now_ms, limit)).fetchall()
    return [Delivery._make((*row, _journal(db, row))) for row in sorted(rows)]


def _journal(db: sqlite3.Connection, row: Sequence[int]) -> dict[str, bytes]:
    delivery_id, fence = row[:2]
    # Before the first claim nobody has recorded anything.
    return dict(db.execute(SQL["journal_of"], (delivery_id,)).fetchall()) if fence > 1 else {}


def renew(db: sqlite3.Connection, claims: Sequence[Claim], lease_until_ms: int) -> None:
    """Prolong leases."""
    db.executemany(SQL["renew"], [(lease_until_ms, *one[:2]) for one in claims])


def record(db: sqlite3.Connection, claim: Claim, name: str, result: bytes) -> bytes:
    """Journal a result; the first one stays, and is returned."""
    expect_claim(db, claim)
    if record_result(db, claim.delivery_id, name, result):
        return result
    kept: bytes = db.execute(SQL["recorded"], (claim.delivery_id, name)).fetchone()[0]
    return kept


def answer(db: sqlite3.Connection, waiter: Waiter, result: bytes, now_ms: int) -> None:
    """End a wait with its answer, unless it has ended meanwhile."""
    place = (waiter.delivery_id, waiter.name)
    if db.execute(SQL["end_wait"], place).rowcount == 1:
        record_result(db, *place, result)
        db.execute(SQL["wake"], (now_ms, waiter.delivery_id))


def retry(db: sqlite3.Connection, claim: Claim, due_at_ms: int) -> None:
    """Give a failed delivery back."""
    if db.execute(SQL["retry"], (due_at_ms, *claim[:2])).rowcount != 1:
        raise lease_lost(claim)


def bury(db: sqlite3.Connection, delivery: Delivery, error: str, stack: str, now_ms: int) -> None:
    """Move a delivery to the dead letters. Its journal stays, for the day it is redriven."""
    if db.execute(SQL["finish"], (delivery.id, delivery.fence)).fetchone() is None:
        raise LeaseLost(f"delivery {delivery.id} went to another worker")
    db.execute(SQL["forget_waits"], (delivery.id,))
    free_lane(db, delivery.step, delivery.lane)
    row = (
        delivery.step, delivery.topic, delivery.payload, _clean(error), _clean(stack),
        delivery.attempt, now_ms, delivery.trace_id, delivery.id, delivery.fence, delivery.lane,
    )  # fmt: skip
    db.execute(SQL["bury"], row)
    beyond = [row[0] for row in db.execute(SQL["dead_beyond"], (MAX_DEAD,)).fetchall()]
    dead_dropped.inc(purge_dead(db, beyond))


def redrive(db: sqlite3.Connection, dead_ids: Sequence[int] | None, now_ms: int) -> int:
    """Make dead letters due again: the same invocation with all its attempts."""
    redriven = 0
    for dead_id in _all_dead(db) if dead_ids is None else dead_ids:
        row = db.execute(SQL["undead"], (dead_id,)).fetchone()
        if row is not None:
            step, topic, payload, trace_id, delivery_id, fence, lane = row
            db.execute(
                SQL["redrive"], (delivery_id, step, topic, payload, now_ms, trace_id, fence, lane)
            )
            redriven += 1
    return redriven


def purge_dead(db: sqlite3.Connection, dead_ids: Sequence[int] | None) -> int:
    """Delete dead letters and what their runs had recorded."""
    purged = 0
    for dead_id in _all_dead(db) if dead_ids is None else dead_ids:
        row = db.execute(SQL["undead"], (dead_id,)).fetchone()
        if row is not None:
            db.execute(SQL["forget_journal"], (row[4],))
            purged += 1
    return purged


def _all_dead(db: sqlite3.Connection) -> list[int]:
    return [row[0] for row in db.execute(SQL["dead_ids"]).fetchall()]


def _clean(text: str) -> str:
    """Return the text without halves of surrogates, which have no bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")
