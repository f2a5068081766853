"""The ledger's SQLite file: statements in `sql/`, one writer, plain blocking calls."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cloud.ingest.ledger import sparkplug_rows
from cloud.ingest.ledger.accounts import (
    BootView,
    Counts,
    Entry,
    Holes,
    Letter,
    LetterQuery,
    Outcome,
    Remembered,
)
from cloud.ingest.ledger.journal import Journal, Step
from cloud.ingest.ledger.letters import Letters, letter_of
from cloud.ingest.ledger.limits import SHIPPED, Limits
from cloud.ingest.ledger.outcomes import outcome_of, put_outcomes
from cloud.ingest.ledger.pending import NOTHING, counts_of
from cloud.ingest.ledger.reading import Reading
from cloud.ingest.ledger.rows import boot_rows, count_rows, moment_rows, series_rows
from cloud.ingest.ledger.schema import LedgerAway, connect, prepare, statement, translated
from wire.ids import DeviceKey
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

__all__ = ["LedgerAway", "LedgerFile"]

_PUT_MOMENTS, _ADD_SERIES = statement("put_moments"), statement("add_series")
_ADD_COUNTS, _PUT_BOOTS = statement("add_counts"), statement("put_boots")
_FORGET_BOOTS, _LETTERS = statement("forget_boots"), statement("letters")
_REPLAYABLE = statement("replayable")
_FORGET_SERIES = "DELETE FROM series WHERE tenant = ? AND device = coalesce(?, device)"


class LedgerFile:
    """`ingest.db`. Every call may raise `LedgerAway`; then it has changed nothing.

    Writing is for one thread at a time; reading has a connection of its own.
    """

    def __init__(self, path: Path, limits: Limits = SHIPPED) -> None:
        self._limits = limits
        self._reading = threading.Lock()
        with translated():
            self._writer = connect(path)
            prepare(self._writer)
            self._reader = connect(path)
            self._letters = Letters(self._writer, limits)
        self._journal = Journal(limits)
        # Of whom there may be an account: nobody else needs to be looked for.
        self._heard = set(map(hash, self.heard()))

    @property
    def letters_dropped(self) -> int:
        """Return how many dead letters had to make room for newer ones."""
        return self._letters.dropped

    def close(self) -> None:
        """Close both connections."""
        self._writer.close()
        self._reader.close()

    def commit(self, entry: Entry) -> Holes:
        """Write a batch's changes in one durable transaction, all or nothing.

        Returns the holes of boots that were forgotten with it.
        """
        self._heard.update(map(hash, entry.tallies))
        with translated():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                with self._reading:
                    self._journal.catch_up(self._writer)
                step = self._journal.step(entry)
                forgotten = self._apply(entry, step)
                # Who reads sees what is pending and the rows from before, or both from after.
                with self._reading:
                    self._writer.execute("COMMIT")
                    self._journal.done(step)
            except sqlite3.Error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._letters.measure()
                raise
        return forgotten

    def account(self, device: DeviceKey) -> tuple[Counts, int | None, str | None]:
        """Return a device's counts, its skew (ms) and its last gap (JSON)."""
        with self._read() as reading:
            account = reading.account(device) or NOTHING
        *_, skew_ms, gap = account[0]
        return counts_of(account), skew_ms, gap

    def totals(self) -> Counts:
        """Return the counts of all devices together."""
        with self._read() as reading:
            return reading.totals()

    def holes(self) -> Holes:
        """Return how many readings of all boots did not come."""
        with self._read() as reading:
            return reading.holes()

    def boots(self, device: DeviceKey) -> list[BootView]:
        """Return a device's boots, the one heard last at the end."""
        with self._read() as reading:
            return reading.boots(device)

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what intake needs to know of a device; nothing when it was never heard."""
        if hash(device) not in self._heard:
            return Remembered()
        with self._read() as reading:
            return reading.recall(device)

    def series_of(self, tenant: str) -> int:
        """Return how many series a tenant has."""
        rows = self._rows("SELECT count(*) FROM series WHERE tenant = ?", (tenant,))
        return int(rows[0][0])

    def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        with self._read() as reading:
            return reading.heard()

    def spooled(self) -> dict[DeviceKey, int]:
        """Return how many readings of each device wait in the spool, of those that have any."""
        with self._read() as reading:
            return reading.spooled()

    def session_of(self, node: Node) -> Saved:
        """Return what is kept of a Sparkplug node's session."""
        return sparkplug_rows.session_of(self._rows, node)

    def sparkplug_dead(self) -> list[DeviceKey]:
        """Return the Sparkplug nodes and devices whose last word was a death."""
        return sparkplug_rows.dead(self._rows)

    def forget_births(self, tenant: str, device: str | None) -> None:
        """Forget a device's Sparkplug birth, or all of a tenant's."""
        with translated():
            sparkplug_rows.forget(self._writer.execute, tenant, device)

    def forget_series(self, tenant: str, device: str | None) -> int:
        """Forget the series of a device, or of all of a tenant; return how many there were."""
        with translated():
            return self._writer.execute(_FORGET_SERIES, (tenant, device)).rowcount

    def outcome(self, device: DeviceKey, key: str, *, now_ms: int) -> tuple[bytes, Outcome] | None:
        """Return the digest and the outcome of a request of the last day; see `ledger.outcomes`."""
        with translated(), self._reading:
            return outcome_of(self._reader, device, key, now_ms=now_ms)

    def letters(self, query: LetterQuery) -> list[Letter]:
        """Return dead letters, newest first."""
        return [letter_of(row) for row in self._rows(_LETTERS, msgspec.to_builtins(query))]

    def replayable(self, query: LetterQuery) -> list[int]:
        """Return the ids of letters that can be replayed, newest first."""
        return [row[0] for row in self._rows(_REPLAYABLE, msgspec.to_builtins(query))]

    def fact(self, name: str) -> str | None:
        """Return a remembered fact."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember a fact."""
        with translated():
            self._put_facts({name: value})

    def _rows(self, sql: str, values: tuple[object, ...] | dict[str, object]) -> list[tuple]:  # type: ignore[type-arg]  # as SQLite gives them
        with translated(), self._reading:
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def _read(self) -> Iterator[Reading]:
        """Read one moment of rows and journal."""
        with translated(), self._reading:
            self._reader.execute("BEGIN")
            try:
                self._journal.catch_up(self._reader)
                yield Reading(self._ask, self._journal.pending)
            finally:
                self._reader.execute("COMMIT")

    def _ask(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        return self._reader.execute(sql, values).fetchall()

    def _apply(self, entry: Entry, step: Step) -> Holes:
        if step.settled:
            self._writer.execute(_ADD_COUNTS, {"rows": count_rows(step.settled)})
            self._writer.execute(_PUT_BOOTS, {"rows": boot_rows(step.settled)})
        self._journal.write(self._writer, step)
        if entry.moments:
            self._writer.execute(_PUT_MOMENTS, {"rows": moment_rows(entry)})
        if entry.series:
            self._writer.execute(_ADD_SERIES, {"rows": series_rows(entry)})
        forgotten = []
        for tenant, device in entry.devices_with_new_boots:
            names = {"tenant": tenant, "device": device, "keep": self._limits.boots_of_a_device}
            forgotten += self._writer.execute(_FORGET_BOOTS, names).fetchall()
        self._letters.close(entry.closed_letters)
        self._letters.add(entry.letters)
        if entry.outcomes:
            put_outcomes(self._writer, entry.outcomes, self._limits)
        sparkplug_rows.put(self._writer.execute, entry.sessions)
        self._put_facts(entry.facts)
        return Holes(*(sum(boot[at] for boot in forgotten) for at in (0, 1)))

    def _put_facts(self, facts: dict[str, str]) -> None:
        for fact in facts.items():
            self._writer.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", fact)
