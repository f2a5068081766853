"""Apply one commit: check what it read, then change everything it changes."""

import math
import sqlite3
from typing import Any

from tidegate.errors import Conflict, LeaseLost
from tidegate.store.bounds import MAX_CHANGES
from tidegate.store.model import (
    ABSENT,
    WAITS,
    Address,
    Claim,
    Commit,
    Committed,
    Delivery,
    Event,
    GroupRead,
    StreamChange,
    Suspension,
)
from tidegate.store.sqlite.statements import SQL

# These stand in every commit: looked up once.
_VERSION, _WRITE, _DELETE = SQL["version"], SQL["write"], SQL["delete"]
_DELIVER, _IS_AWAITED, _FINISH = SQL["deliver"], SQL["is_awaited"], SQL["finish"]


class Group:
    """What the commits of one group of the writer share: versions, and what can be skipped."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._version = 0
        self.anybody_waits = True
        self._lapse_ms: float = 0.0

    def begin(self, commits: int) -> None:
        """Reserve versions for so many commits, and see what none of them need look for."""
        self._version = self._db.execute(SQL["tick"], (commits,)).fetchone()[0] - commits
        self.anybody_waits = self._db.execute(SQL["anybody_waits"]).fetchone() is not None
        [first_lapse] = self._db.execute(SQL["next_lapse"]).fetchone()
        self._lapse_ms = math.inf if first_lapse is None else first_lapse

    def anything_lapsed(self, now_ms: int) -> bool:
        """Tell whether a value that was there at the group's begin has lapsed and is to be told."""
        return self._lapse_ms <= now_ms

    def next_version(self) -> int:
        """Return a version that no write has had."""
        self._version += 1
        return self._version


def apply(db: sqlite3.Connection, commit: Commit, group: Group) -> Committed:
    """Apply a commit inside the writer's transaction.

    Raises:
        Conflict: something that it read has changed; nothing is changed.
        LeaseLost: a delivery that it ends was claimed anew; nothing is changed.
    """
    check_reads(db, commit)
    _end_lapsed(db, commit)
    for claim in commit.done:
        _finish(db, claim)
    if commit.suspension is not None:
        _suspend(db, commit.suspension)
        group.anybody_waits = True
    if commit.writes:
        _write_values(db, commit, group)
    leased: list[Delivery] = []
    for event in commit.events:
        new = _deliver(db, event, commit.now_ms, leased)
        if new and group.anybody_waits and db.execute(_IS_AWAITED, (event.topic,)).fetchone():
            _deliver_to(db, event, Address(WAITS, commit.now_ms), leased)
    seqs = [_note_change(db, change, commit.now_ms) for change in commit.changes]
    return Committed(leased, seqs, group.anybody_waits)


def check_reads(db: sqlite3.Connection, commit: Commit) -> None:
    """Raise `Conflict` unless everything is as it was read, and what it ends is still there."""
    for key, version in commit.reads.items():
        row = db.execute(_VERSION, key).fetchone()
        if (row[0] if row else ABSENT) != version:
            raise Conflict(f"{key.group}/{key.key} was changed", key)
    for read in commit.group_reads:
        _check_group(db, read)
    if len(commit.done) > 1:
        # One alone is checked by its end; of several none may end unless all can.
        for claim in commit.done:
            expect_claim(db, claim)


def expect_claim(db: sqlite3.Connection, claim: Claim) -> None:
    """Raise `LeaseLost` when a delivery was claimed anew, or is ended."""
    if not db.execute(SQL["is_claimed"], claim[:2]).fetchone():
        raise lease_lost(claim)


def lease_lost(claim: Claim) -> LeaseLost:
    """Return the error of a claim that is void."""
    return LeaseLost(f"delivery {claim.delivery_id} went to another worker")


def record_result(db: sqlite3.Connection, delivery_id: int, name: str, result: bytes) -> bool:
    """Journal a result of a delivery; False when there is one of that name."""
    if db.execute(SQL["record"], (delivery_id, name, result)).rowcount != 1:
        return False
    db.execute(SQL["mark_journaled"], (delivery_id,))
    return True


def group_rows(db: sqlite3.Connection, group: str, pattern: str | None) -> list[Any]:
    """Return (key, data, version, expires_at) of a group's keys, those that match the glob."""
    if pattern is None:
        return db.execute(SQL["read_group"], (group,)).fetchall()
    return db.execute(SQL["read_pattern"], (group, pattern)).fetchall()


def free_lane(db: sqlite3.Connection, step: str, lane: str | None) -> None:
    """Let the next delivery of a lane be claimed, now that the one before it is gone."""
    if lane is not None:
        db.execute(SQL["next_of_lane"], (step, lane))


def _check_group(db: sqlite3.Connection, read: GroupRead) -> None:
    rows = group_rows(db, read.group, read.pattern)
    if tuple((key, version) for key, _, version, _ in rows) != read.versions:
        raise Conflict(f"group {read.group} was changed")


def _end_lapsed(db: sqlite3.Connection, commit: Commit) -> None:
    for lapsed_id in commit.lapsed:
        if db.execute(SQL["end_lapsed"], (lapsed_id,)).rowcount != 1:
            raise Conflict(f"lapsed value {lapsed_id} was told already")


def _finish(db: sqlite3.Connection, claim: Claim) -> None:
    delivery_id, fence, step, lane = claim
    ended = db.execute(_FINISH, (delivery_id, fence)).fetchone()
    if ended is None:
        raise lease_lost(claim)
    if ended[0]:
        # Who has waited has journaled until when: then there may be a wait, too.
        db.execute(SQL["forget_journal"], (delivery_id,))
        db.execute(SQL["forget_waits"], (delivery_id,))
    free_lane(db, step, lane)


def _suspend(db: sqlite3.Connection, suspension: Suspension) -> None:
    claim, due_at_ms, journal, waiter = suspension
    if db.execute(SQL["suspend"], (due_at_ms, claim.delivery_id, claim.fence)).rowcount != 1:
        raise lease_lost(claim)
    for name, result in journal.items():
        record_result(db, claim.delivery_id, name, result)
    if waiter is not None:
        db.execute(SQL["wait"], waiter)


def _write_values(db: sqlite3.Connection, commit: Commit, group: Group) -> None:
    version = group.next_version()
    lapsing = group.anything_lapsed(commit.now_ms)
    for key, (data, expires_at, on_expire) in commit.writes.items():
        if lapsing:
            db.execute(SQL["keep_one_lapsed"], (*key, commit.now_ms))
        if data is None:
            db.execute(_DELETE, key)
        else:
            db.execute(_WRITE, (*key, data, version, expires_at, on_expire))


def _deliver(db: sqlite3.Connection, event: Event, now_ms: int, leased: list[Delivery]) -> bool:
    """Deliver an event to its addresses; False when its id was seen before."""
    if event.id is not None:
        remembered = db.execute(SQL["remember_emitted"], (event.topic, event.id, now_ms))
        if remembered.rowcount == 0:
            return False
    for address in event.to:
        _deliver_to(db, event, address, leased)
    return True


def _deliver_to(
    db: sqlite3.Connection, event: Event, address: Address, leased: list[Delivery]
) -> None:
    step, due_at, lane, lease_until = address
    topic, payload, trace_id = event[:3]
    if lane is not None:
        db.execute(SQL["deliver_in_lane"], (step, topic, payload, due_at, trace_id, lane))
    elif lease_until is None:
        db.execute(_DELIVER, (step, topic, payload, due_at, 0, 0, 0, trace_id))
    else:
        row = (step, topic, payload, lease_until, 1, 1, 1, trace_id)
        delivery_id = db.execute(_DELIVER, row).lastrowid or 0
        leased.append(Delivery(delivery_id, 1, step, topic, payload, 1, trace_id, None, {}))


def _note_change(db: sqlite3.Connection, change: StreamChange, now_ms: int) -> int:
    place = (change.name, change.group)
    seq: int = db.execute(SQL["number_change"], place).fetchone()[0]
    db.execute(SQL["note_change"], (*place, seq, change.kind, change.id, change.data, now_ms))
    db.execute(SQL["trim_changes"], (*place, seq - MAX_CHANGES))
    return seq
