"""The ledger's SQLite file: statements in `sql/`, one writer, plain blocking calls."""

import sqlite3
import threading
from pathlib import Path

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
from cloud.ingest.ledger.letters import Letters, letter_of
from cloud.ingest.ledger.limits import SHIPPED, Limits
from cloud.ingest.ledger.moments import recalled
from cloud.ingest.ledger.outcomes import outcome_of, put_outcomes
from cloud.ingest.ledger.rows import (
    boot_rows,
    boot_view,
    count_rows,
    intervals,
    key_of,
    moment_rows,
    series_rows,
)
from cloud.ingest.ledger.schema import LedgerAway, connect, prepare, statement, translated
from cloud.ingest.ledger.skew import Skew
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceKey, MetricName
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

__all__ = ["LedgerAway", "LedgerFile"]

_COUNTED = ("stored", "duplicate", "dead", "filtered", "spooled", "late")
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
        with translated():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                forgotten = self._apply(entry)
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._letters.measure()
                raise
        return forgotten

    def account(self, device: DeviceKey) -> tuple[Counts, int | None, str | None]:
        """Return a device's counts, its skew (ms) and its last gap (JSON)."""
        rows = self._rows(
            f"SELECT {', '.join(_COUNTED)}, skew_ms, last_gap FROM devices"  # noqa: S608 - constants
            " WHERE tenant = ? AND device = ?",
            device,
        )
        if not rows:
            return Counts(), None, None
        *counts, skew_ms, gap = rows[0]
        return Counts(*counts), skew_ms, gap

    def totals(self) -> Counts:
        """Return the counts of all devices together."""
        sums = ", ".join(f"coalesce(sum({count}), 0)" for count in _COUNTED)
        return Counts(*self._rows(f"SELECT {sums} FROM devices", ())[0])  # noqa: S608 - constants

    def holes(self) -> Holes:
        """Return how many readings of all boots did not come."""
        # `total`, unlike `sum`, does not overflow when devices invent sequences.
        rows = self._rows("SELECT total(missing), total(declared) FROM boots", ())
        return Holes(*(int(number) for number in rows[0]))

    def boots(self, device: DeviceKey) -> list[BootView]:
        """Return a device's boots, the one heard last at the end."""
        rows = self._rows(
            "SELECT boot, spans FROM boots WHERE tenant = ? AND device = ?"
            " ORDER BY heard_at_ms, boot",
            device,
        )
        return [boot_view(boot, spans) for boot, spans in rows]

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what intake needs to know of a device; nothing when it was never heard."""
        clock = self._rows(
            "SELECT newest_ms, skew_ms FROM devices WHERE tenant = ? AND device = ?", device
        )
        if not clock:
            return Remembered()
        moments = self._rows(
            "SELECT number, mark FROM moments WHERE tenant = ? AND device = ? ORDER BY number",
            device,
        )
        metrics = self._rows("SELECT metric FROM series WHERE tenant = ? AND device = ?", device)
        return Remembered(
            self._spans_of(device),
            recalled([(number, bytes.fromhex(mark)) for number, mark in moments]),
            [MetricName(metric) for (metric,) in metrics],
            newest_ms=clock[0][0],
            skew=Skew(clock[0][1]),
        )

    def series_of(self, tenant: str) -> int:
        """Return how many series a tenant has."""
        rows = self._rows("SELECT count(*) FROM series WHERE tenant = ?", (tenant,))
        return int(rows[0][0])

    def _spans_of(self, device: DeviceKey) -> dict[str, Spans]:
        rows = self._rows(
            "SELECT boot, spans, declared_first, forgotten, closed, newest_ms, missing, declared"
            " FROM boots WHERE tenant = ? AND device = ? ORDER BY heard_at_ms, boot",
            device,
        )
        return {
            boot: Spans(
                intervals(spans),
                declared_first=first,
                forgotten=forgotten,
                closed=closed,
                newest_ms=newest_ms,
                told=(missing, declared),
            )
            for boot, spans, first, forgotten, closed, newest_ms, missing, declared in rows
        }

    def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        rows = self._rows("SELECT tenant, device, heard_at_ms FROM devices", ())
        return {key_of(tenant, device): heard_at_ms for tenant, device, heard_at_ms in rows}

    def spooled(self) -> dict[DeviceKey, int]:
        """Return how many readings of each device wait in the spool, of those that have any."""
        rows = self._rows("SELECT tenant, device, spooled FROM devices WHERE spooled <> 0", ())
        return {key_of(tenant, device): spooled for tenant, device, spooled in rows}

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

    def _apply(self, entry: Entry) -> Holes:
        if entry.tallies:
            self._writer.execute(_ADD_COUNTS, {"rows": count_rows(entry)})
        if entry.boots:
            self._writer.execute(_PUT_BOOTS, {"rows": boot_rows(entry)})
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
