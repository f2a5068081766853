"""The ledger's dead letters: bounded in number and bytes.

Beyond a bound, letters of whoever has the most go first, its oldest first, and are counted: a
storm of one device pushes out its own letters, not those of the others.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from cloud.ingest.ledger.accounts import Letter, NewLetter
from cloud.ingest.ledger.limits import Limits
from cloud.ingest.ledger.rows import key_of

_LETTERS_A_STATEMENT = 500
_LETTERS_A_TRIM = 100
_ADD = (
    "INSERT INTO dead_letters"
    " (tenant, device, topic, reason, payload, readings, only, received_at_ms, is_shortened,"
    " content_type)"
    " VALUES "
)
_CLOSE = "DELETE FROM dead_letters WHERE id = ? RETURNING tenant, device, length(payload)"
_DROP = (
    "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters"
    " WHERE tenant IS ? AND device IS ? ORDER BY id LIMIT ?)"
    " RETURNING tenant, device, length(payload)"
)
_DROPPED = "letters_dropped"
_Owner = tuple[str | None, str | None]
_MARKS = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Letters:
    """What is kept of dead letters; every change belongs to the caller's transaction.

    After a rollback the caller calls `measure`.
    """

    def __init__(self, writer: sqlite3.Connection, limits: Limits) -> None:
        self._writer = writer
        self._limits = limits
        self.dropped = 0
        self.measure()

    def add(self, letters: Sequence[NewLetter]) -> None:
        """Add letters, and drop old ones when there are too many now."""
        for start in range(0, len(letters), _LETTERS_A_STATEMENT):
            rows = [_row(letter) for letter in letters[start : start + _LETTERS_A_STATEMENT]]
            marks = ", ".join([_MARKS] * len(rows))
            self._writer.execute(_ADD + marks, [value for row in rows for value in row])
        for letter in letters:
            self._hold(letter.device, 1, len(letter.payload))
        while self._count > self._limits.letters or self._bytes > self._limits.letter_bytes:
            self._drop_oldest()

    def close(self, ids: Sequence[int]) -> None:
        """Delete letters that were replayed."""
        for letter_id in ids:
            self._delete(_CLOSE, letter_id)

    def measure(self) -> None:
        """Count what is there."""
        self._count = self._bytes = 0
        self._held: dict[_Owner, tuple[int, int]] = {}
        owners = self._writer.execute(
            "SELECT tenant, device, count(*), sum(length(payload)) FROM dead_letters"
            " GROUP BY tenant, device ORDER BY min(id)"
        )
        for tenant, device, count, size in owners.fetchall():
            self._hold((tenant, device), count, size)
        dropped = self._writer.execute("SELECT value FROM facts WHERE name = ?", (_DROPPED,))
        self.dropped = int((dropped.fetchone() or (0,))[0])

    def _drop_oldest(self) -> None:
        """Drop letters of whoever has the most; of the bytes, when those are too many."""
        by = 0 if self._count > self._limits.letters else 1
        tenant, device = max(self._held, key=lambda owner: self._held[owner][by])
        surplus = min(max(self._count - self._limits.letters, 1), _LETTERS_A_TRIM)
        dropped = self._delete(_DROP, tenant, device, surplus)
        self.dropped += dropped
        self._writer.execute(
            "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (_DROPPED, self.dropped)
        )

    def _delete(self, sql: str, *values: object) -> int:
        """Run a statement that returns what it freed; return how many letters those were."""
        freed = self._writer.execute(sql, values).fetchall()
        for tenant, device, size in freed:
            self._hold((tenant, device), -1, -size)
        return len(freed)

    def _hold(self, owner: _Owner | None, count: int, size: int) -> None:
        self._count += count
        self._bytes += size
        key = (None, None) if owner is None else (owner[0], owner[1])
        held_count, held_bytes = self._held.get(key, (0, 0))
        if held_count + count:
            self._held[key] = held_count + count, held_bytes + size
        else:
            self._held.pop(key, None)


def _row(letter: NewLetter) -> tuple[object, ...]:
    tenant, device = letter.device or (None, None)
    only = None if letter.only is None else msgspec.json.encode(letter.only).decode()
    return (
        tenant,
        device,
        letter.topic,
        letter.reason,
        letter.payload,
        letter.readings,
        only,
        letter.received_at_ms,
        letter.is_shortened,
        letter.content_type,
    )


def letter_of(row: tuple) -> Letter:  # type: ignore[type-arg]  # as SQLite gives it
    """Return the letter of a row of `letters.sql`."""
    letter_id, tenant, device, topic, reason, payload, readings, only, at_ms, *rest = row
    is_shortened, content_type = rest
    return Letter(
        id=letter_id,
        device=None if tenant is None else key_of(tenant, device),
        topic=topic,
        reason=reason,
        payload=payload,
        readings=readings,
        received_at_ms=at_ms,
        only=None if only is None else msgspec.json.decode(only, type=list[int]),
        is_shortened=bool(is_shortened),
        content_type=content_type,
    )
