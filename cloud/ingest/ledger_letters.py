"""The ledger's dead letters: bounded in number and bytes.

Beyond a bound, letters of whoever has the most go first, its oldest first, and are counted: a
storm of one device pushes out its own letters, not those of the others.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from cloud.ingest.accounts import Letter, NewLetter
from cloud.ingest.ledger_rows import key_of

MAX_LETTERS = 10_000
MAX_LETTER_BYTES = 256 * 1024 * 1024
_LETTERS_A_STATEMENT = 500
_LETTERS_A_TRIM = 100
_ADD = (
    "INSERT INTO dead_letters"
    " (tenant, device, topic, reason, payload, readings, only, received_at_ms, is_shortened,"
    " content_type)"
    " VALUES "
)
_MARKS = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Letters:
    """What is kept of dead letters; every change belongs to the caller's transaction.

    After a rollback the caller calls `measure`.
    """

    def __init__(self, writer: sqlite3.Connection) -> None:
        self._writer = writer
        self.dropped = 0
        self.measure()

    def add(self, letters: Sequence[NewLetter]) -> None:
        """Add letters, and drop old ones when there are too many now."""
        for start in range(0, len(letters), _LETTERS_A_STATEMENT):
            rows = [_row(letter) for letter in letters[start : start + _LETTERS_A_STATEMENT]]
            marks = ", ".join([_MARKS] * len(rows))
            self._writer.execute(_ADD + marks, [value for row in rows for value in row])
        self._count += len(letters)
        self._bytes += sum(len(letter.payload) for letter in letters)
        while self._count > MAX_LETTERS or self._bytes > MAX_LETTER_BYTES:
            self._drop_oldest()

    def close(self, ids: Sequence[int]) -> None:
        """Delete letters that were replayed."""
        for letter_id in ids:
            self._writer.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
        if ids:
            self.measure()

    def measure(self) -> None:
        """Count what is there."""
        self._count, self._bytes = self._writer.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead_letters"
        ).fetchone()

    def _drop_oldest(self) -> None:
        surplus = min(max(self._count - MAX_LETTERS, 1), _LETTERS_A_TRIM)
        dropped = self._writer.execute(
            "DELETE FROM dead_letters WHERE id IN"
            " (SELECT id FROM dead_letters ORDER BY id LIMIT ?) RETURNING length(payload)",
            (surplus,),
        ).fetchall()
        self._count -= len(dropped)
        self._bytes -= sum(size for (size,) in dropped)
        self.dropped += len(dropped)


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
