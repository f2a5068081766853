"""The outbox: readings on disk until the cloud's end-to-end acknowledgement covers them.

One SQLite file, written through to the disk with every append. Held sequences are always one
contiguous range: it grows at the end, acknowledgements and drops take from its beginning.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_agent.errors import OutboxFailed
from edge_agent.settings import OutboxLimits
from wire.ids import MetricName
from wire.messages import Ack, Reading, Value

ROW_OVERHEAD_BYTES = 32
"""What a reading costs beside its values: sequence, time, and SQLite's row header."""

Values = dict[MetricName, Value]
_bodies = msgspec.json.Decoder(dict[str, Value])


class Gap(NamedTuple):
    """Sequences of the current boot that were dropped before anybody acknowledged them."""

    from_seq: int
    to_seq: int


class Sample(NamedTuple):
    """Values to keep, and when they were measured (Unix milliseconds)."""

    ts_ms: int
    values: Values


class OutboxState(NamedTuple):
    """What the outbox holds: sequences `first` to `next_seq` - 1 of `boot`."""

    boot: str
    first: int
    next_seq: int
    bytes_held: int
    dropped: int
    gap: Gap | None


class Outbox:
    """Bounded, durable, drop-oldest. Safe to use from several threads."""

    def __init__(self, path: Path, limits: OutboxLimits, *, connection: sqlite3.Connection) -> None:
        self._path = path
        self._limits = limits
        self._db = connection
        self._lock = threading.Lock()
        self._state = _read_state(connection)

    @property
    def state(self) -> OutboxState:
        """A snapshot; costs no query."""
        return self._state

    def append(self, samples: Sequence[Sample], now_ms: int) -> None:
        """Keep samples under the next sequences, in one commit; drop the oldest beyond a bound.

        Raises:
            OutboxFailed: the disk did not take them; they got no sequence.
        """
        bodies = [(sample.ts_ms, msgspec.json.encode(sample.values)) for sample in samples]
        with self._transaction() as state:
            rows = [(state.next_seq + index, *row) for index, row in enumerate(bodies)]
            self._db.executemany("INSERT INTO readings (seq, ts_ms, body) VALUES (?, ?, ?)", rows)
            grown = state._replace(
                next_seq=state.next_seq + len(rows),
                bytes_held=state.bytes_held + sum(_cost(body) for _, body in bodies),
            )
            self._save(self._within_bounds(grown, now_ms))

    def read(self, from_seq: int, limit: int) -> list[Reading]:
        """Return held readings from a sequence on, oldest first. Raise `OutboxFailed`."""
        with self._guarded():
            rows = self._db.execute(
                "SELECT seq, ts_ms, body FROM readings WHERE seq >= ? ORDER BY seq LIMIT ?",
                (from_seq, limit),
            ).fetchall()
        return [Reading(_decode(body), ts_ms, seq=seq) for seq, ts_ms, body in rows]

    def acknowledge(self, ack: Ack) -> bool:
        """Forget what an acknowledgement covers; return whether there was any. Idempotent.

        Raises:
            OutboxFailed: the disk refused; the readings stay and are sent again.
        """
        state = self._state
        if ack.boot != state.boot or ack.seq < state.first:
            return False
        with self._transaction() as state:
            kept = _without(self._db, state, before=min(ack.seq + 1, state.next_seq))
            gap = None if kept.gap and kept.gap.to_seq <= ack.seq else kept.gap
            self._save(kept._replace(gap=gap))
        return True

    def drop_until(self, seq: int) -> None:
        """Drop held readings up to a sequence as a declared gap. Raise `OutboxFailed`."""
        with self._transaction() as state:
            self._save(self._dropped(state, before=min(seq + 1, state.next_seq)))

    def begin_new_boot(self, boot: str) -> None:
        """Renumber what is held from 1 under a new boot. Raise `OutboxFailed`.

        For an outbox that was restored from an old copy: the cloud already knows other readings
        by the sequences that this one would give out.
        """
        with self._transaction() as state:
            # Through the negative numbers, so that no row meets another's old sequence.
            shift = state.first - 1
            self._db.execute("UPDATE readings SET seq = -(seq - ?)", (shift,))
            self._db.execute("UPDATE readings SET seq = -seq")
            held = state.next_seq - state.first
            self._save(state._replace(boot=boot, first=1, next_seq=held + 1, gap=None))

    def close(self) -> None:
        """Close the file; the outbox is of no use afterwards."""
        with self._lock:
            self._db.close()

    def _within_bounds(self, state: OutboxState, now_ms: int) -> OutboxState:
        """Drop what is too old, then what is too much; the newest reading always stays."""
        oldest_ms = now_ms - int(self._limits.max_age_s * 1_000)
        before, excess = state.first, state.bytes_held - self._limits.max_bytes
        last = state.next_seq - 1
        rows = self._db.execute("SELECT seq, ts_ms, length(body) FROM readings ORDER BY seq")
        for seq, ts_ms, size in rows:
            if seq == last or (ts_ms >= oldest_ms and excess <= 0):
                break
            before, excess = seq + 1, excess - size - ROW_OVERHEAD_BYTES
        rows.close()
        return self._dropped(state, before=before)

    def _dropped(self, state: OutboxState, *, before: int) -> OutboxState:
        if before <= state.first:
            return state
        kept = _without(self._db, state, before=before)
        from_seq = state.gap.from_seq if state.gap else state.first
        dropped = state.dropped + before - state.first
        return kept._replace(dropped=dropped, gap=Gap(from_seq, before - 1))

    def _save(self, state: OutboxState) -> None:
        gap = state.gap or (None, None)
        self._db.execute(
            "UPDATE outbox SET boot = ?, next_seq = ?, dropped = ?, gap_from = ?, gap_to = ?",
            (state.boot, state.next_seq, state.dropped, *gap),
        )
        self._db.commit()
        self._state = state

    @contextmanager
    def _transaction(self) -> Iterator[OutboxState]:
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            yield self._state

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as exc:
                raise OutboxFailed(f"{self._path}: {exc}") from exc
            finally:
                if self._db.in_transaction:
                    self._db.rollback()


def _read_state(db: sqlite3.Connection) -> OutboxState:
    boot, next_seq, dropped, gap_from, gap_to = db.execute(
        "SELECT boot, next_seq, dropped, gap_from, gap_to FROM outbox"
    ).fetchone()
    first, bytes_held = db.execute(
        "SELECT coalesce(min(seq), ?), coalesce(sum(length(body) + ?), 0) FROM readings",
        (next_seq, ROW_OVERHEAD_BYTES),
    ).fetchone()
    gap = None if gap_from is None else Gap(gap_from, gap_to)
    return OutboxState(boot, first, next_seq, bytes_held, dropped, gap)


def _without(db: sqlite3.Connection, state: OutboxState, *, before: int) -> OutboxState:
    """Delete readings before a sequence, without saying why."""
    (freed,) = db.execute(
        "SELECT coalesce(sum(length(body) + ?), 0) FROM readings WHERE seq < ?",
        (ROW_OVERHEAD_BYTES, before),
    ).fetchone()
    db.execute("DELETE FROM readings WHERE seq < ?", (before,))
    return state._replace(first=before, bytes_held=state.bytes_held - freed)


def _cost(body: bytes) -> int:
    return len(body) + ROW_OVERHEAD_BYTES


def _decode(body: bytes) -> Values:
    return {MetricName(name): value for name, value in _bodies.decode(body).items()}
