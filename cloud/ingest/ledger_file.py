"""The ledger's SQLite file: statements in `sql/`, one writer, plain blocking calls."""

import sqlite3
import threading
from pathlib import Path

import msgspec

from cloud.ingest.accounts import BootView, Entry, Letter, LetterQuery
from cloud.ingest.ledger_letters import Letters, letter_of
from cloud.ingest.ledger_rows import boot_rows, boot_view, count_rows, intervals, key_of
from cloud.ingest.ledger_schema import LedgerAway, connect, prepare, statement, translated
from cloud.ingest.spans import Spans
from wire.ids import DeviceKey

__all__ = ["MAX_BOOTS", "LedgerAway", "LedgerFile"]

MAX_BOOTS = 64

Counts = tuple[int, int, int, int]
_FATES = ("stored", "duplicate", "dead", "filtered")
_ADD_COUNTS, _PUT_BOOTS = statement("add_counts"), statement("put_boots")
_FORGET_BOOTS, _LETTERS = statement("forget_boots"), statement("letters")


class LedgerFile:
    """`ingest.db`. Every call may raise `LedgerAway`; then it has changed nothing.

    Writing is for one thread at a time; reading has a connection of its own.
    """

    def __init__(self, path: Path) -> None:
        self._reading = threading.Lock()
        with translated():
            self._writer = connect(path)
            prepare(self._writer)
            self._reader = connect(path)
            self._letters = Letters(self._writer)

    @property
    def letters_dropped(self) -> int:
        """Return how many dead letters had to make room for newer ones."""
        return self._letters.dropped

    def close(self) -> None:
        """Close both connections."""
        self._writer.close()
        self._reader.close()

    def commit(self, entry: Entry) -> None:
        """Write a batch's changes in one durable transaction, all or nothing."""
        with translated():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._apply(entry)
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._letters.measure()
                raise

    def counts(self, device: DeviceKey) -> Counts:
        """Return stored, duplicate, dead, filtered."""
        rows = self._rows(
            "SELECT stored, duplicate, dead, filtered FROM devices WHERE tenant = ? AND device = ?",
            device,
        )
        return rows[0] if rows else (0, 0, 0, 0)

    def totals(self) -> Counts:
        """Return stored, duplicate, dead, filtered of all devices together."""
        sums = ", ".join(f"coalesce(sum({fate}), 0)" for fate in _FATES)
        counts: Counts = self._rows(f"SELECT {sums} FROM devices", ())[0]  # noqa: S608 - constants
        return counts

    def boots(self, device: DeviceKey) -> list[BootView]:
        """Return a device's boots, the one heard last at the end."""
        rows = self._rows(
            "SELECT boot, spans FROM boots WHERE tenant = ? AND device = ?"
            " ORDER BY heard_at_ms, boot",
            device,
        )
        return [boot_view(boot, spans) for boot, spans in rows]

    def spans_of(self, device: DeviceKey) -> dict[str, Spans]:
        """Return the sequences seen of each boot of a device."""
        rows = self._rows(
            "SELECT boot, spans, declared_first, forgotten FROM boots"
            " WHERE tenant = ? AND device = ? ORDER BY heard_at_ms, boot",
            device,
        )
        return {
            boot: Spans(intervals(spans), declared_first=first, forgotten=forgotten)
            for boot, spans, first, forgotten in rows
        }

    def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        rows = self._rows("SELECT tenant, device, heard_at_ms FROM devices", ())
        return {key_of(tenant, device): heard_at_ms for tenant, device, heard_at_ms in rows}

    def letters(self, query: LetterQuery) -> list[Letter]:
        """Return dead letters, newest first."""
        return [letter_of(row) for row in self._rows(_LETTERS, msgspec.to_builtins(query))]

    def fact(self, name: str) -> str | None:
        """Return a remembered fact."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember a fact."""
        with translated():
            self._writer.execute(
                "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value)
            )

    def _rows(self, sql: str, values: tuple[object, ...] | dict[str, object]) -> list[tuple]:  # type: ignore[type-arg]  # as SQLite gives them
        with translated(), self._reading:
            return self._reader.execute(sql, values).fetchall()

    def _apply(self, entry: Entry) -> None:
        if entry.tallies:
            self._writer.execute(_ADD_COUNTS, {"rows": count_rows(entry)})
        if entry.boots:
            self._writer.execute(_PUT_BOOTS, {"rows": boot_rows(entry)})
        for tenant, device in entry.devices_with_new_boots:
            names = {"tenant": tenant, "device": device, "keep": MAX_BOOTS}
            self._writer.execute(_FORGET_BOOTS, names)
        self._letters.close(entry.closed_letters)
        self._letters.add(entry.letters)
