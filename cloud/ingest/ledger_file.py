"""The ledger's SQLite file: statements in `sql/`, one writer, plain blocking calls."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import msgspec

from cloud.ingest import sparkplug_rows
from cloud.ingest.accounts import BootView, Entry, Letter, LetterQuery, NewLetter, Outcome
from cloud.ingest.kept_outcomes import outcome_of, put_outcomes
from cloud.ingest.spans import Spans
from tidegate.errors import StoreAway
from wire.ids import DeviceId, DeviceKey, TenantId
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

MAX_BOOTS = 64
MAX_LETTERS = 10_000
MAX_LETTER_BYTES = 256 * 1024 * 1024
# (table, column, definition) in the order in which versions of the schema brought them.
_NEW_COLUMNS = (
    ("dead_letters", "is_shortened", "INTEGER NOT NULL DEFAULT 0"),
    ("dead_letters", "content_type", "TEXT"),
    ("devices", "spooled", "INTEGER NOT NULL DEFAULT 0"),
)
_LETTERS_A_STATEMENT = 500
_LETTERS_A_TRIM = 100
_BUSY_S = 5.0

Intervals = list[tuple[int, int]]
Counts = tuple[int, int, int, int, int]
_FATES = ("stored", "duplicate", "dead", "filtered", "spooled")


def _sql(name: str) -> str:
    return (resources.files("cloud.ingest") / "sql" / f"{name}.sql").read_text("utf-8")


_ADD_COUNTS, _PUT_BOOTS = _sql("add_counts"), _sql("put_boots")
_ADD_LETTERS = (
    "INSERT INTO dead_letters"
    " (tenant, device, topic, reason, payload, readings, only, received_at_ms, is_shortened,"
    " content_type)"
    " VALUES "
)
_LETTER_MARKS = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET_BOOTS, _LETTERS = _sql("forget_boots"), _sql("letters")


class LedgerAway(StoreAway):
    """The ledger's file cannot be read or written now (a full disk); the caller retries."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise LedgerAway(f"the ingest ledger does not answer: {exc}") from exc


class LedgerFile:
    """`ingest.db`. Every call may raise `LedgerAway`; then it has changed nothing.

    Writing is for one thread at a time; reading has a connection of its own.
    """

    def __init__(self, path: Path) -> None:
        self._reading = threading.Lock()
        self.letters_dropped = 0
        with _translated():
            self._writer = _connect(path)
            self._writer.executescript(_sql("schema") + _sql("sparkplug"))
            _add_new_columns(self._writer)
            self._reader = _connect(path)
            self._measure_letters()

    def close(self) -> None:
        """Close both connections."""
        self._writer.close()
        self._reader.close()

    def commit(self, entry: Entry) -> None:
        """Write a batch's changes in one durable transaction, all or nothing."""
        with _translated():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._apply(entry)
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._measure_letters()
                raise

    def counts(self, device: DeviceKey) -> Counts:
        """Return stored, duplicate, dead, filtered, spooled."""
        rows = self._rows(
            "SELECT stored, duplicate, dead, filtered, spooled FROM devices"
            " WHERE tenant = ? AND device = ?",
            device,
        )
        return rows[0] if rows else (0, 0, 0, 0, 0)

    def totals(self) -> Counts:
        """Return stored, duplicate, dead, filtered, spooled of all devices together."""
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
        return [_boot_view(boot, spans) for boot, spans in rows]

    def spans_of(self, device: DeviceKey) -> dict[str, Spans]:
        """Return the sequences seen of each boot of a device."""
        rows = self._rows(
            "SELECT boot, spans, declared_first, forgotten FROM boots"
            " WHERE tenant = ? AND device = ? ORDER BY heard_at_ms, boot",
            device,
        )
        return {
            boot: Spans(_intervals(spans), declared_first=first, forgotten=forgotten)
            for boot, spans, first, forgotten in rows
        }

    def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        rows = self._rows("SELECT tenant, device, heard_at_ms FROM devices", ())
        return {_key(tenant, device): heard_at_ms for tenant, device, heard_at_ms in rows}

    def spooled(self) -> dict[DeviceKey, int]:
        """Return how many readings of each device wait in the spool, of those that have any."""
        rows = self._rows("SELECT tenant, device, spooled FROM devices WHERE spooled <> 0", ())
        return {_key(tenant, device): spooled for tenant, device, spooled in rows}

    def session_of(self, node: Node) -> Saved:
        """Return what is kept of a Sparkplug node's session."""
        return sparkplug_rows.session_of(self._rows, node)

    def sparkplug_dead(self) -> list[DeviceKey]:
        """Return the Sparkplug nodes and devices whose last word was a death."""
        return sparkplug_rows.dead(self._rows)

    def letters(self, query: LetterQuery) -> list[Letter]:
        """Return dead letters, newest first."""
        return [_letter(row) for row in self._rows(_LETTERS, msgspec.to_builtins(query))]

    def outcome(self, device: DeviceKey, key: str, *, now_ms: int) -> tuple[bytes, Outcome] | None:
        """Return the digest and the outcome of a request of the last day; see `kept_outcomes`."""
        with _translated(), self._reading:
            return outcome_of(self._reader, device, key, now_ms=now_ms)

    def fact(self, name: str) -> str | None:
        """Return a remembered fact."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember a fact."""
        with _translated():
            self._put_facts({name: value})

    def _rows(self, sql: str, values: tuple[object, ...] | dict[str, object]) -> list[tuple]:  # type: ignore[type-arg]  # as SQLite gives them
        with _translated(), self._reading:
            return self._reader.execute(sql, values).fetchall()

    def _apply(self, entry: Entry) -> None:
        if entry.tallies:
            self._writer.execute(_ADD_COUNTS, {"rows": _count_rows(entry)})
        if entry.boots:
            self._writer.execute(_PUT_BOOTS, {"rows": _boot_rows(entry)})
        for tenant, device in entry.devices_with_new_boots:
            names = {"tenant": tenant, "device": device, "keep": MAX_BOOTS}
            self._writer.execute(_FORGET_BOOTS, names)
        for letter_id in entry.closed_letters:
            self._writer.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
        if entry.closed_letters:
            self._measure_letters()
        if entry.letters:
            self._add_letters(entry.letters)
        if entry.outcomes:
            put_outcomes(self._writer, entry.outcomes)
        sparkplug_rows.put(self._writer.execute, entry.sessions)
        self._put_facts(entry.facts)

    def _put_facts(self, facts: dict[str, str]) -> None:
        for fact in facts.items():
            self._writer.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", fact)

    def _add_letters(self, letters: list[NewLetter]) -> None:
        for start in range(0, len(letters), _LETTERS_A_STATEMENT):
            rows = [_letter_row(letter) for letter in letters[start : start + _LETTERS_A_STATEMENT]]
            marks = ", ".join([_LETTER_MARKS] * len(rows))
            self._writer.execute(_ADD_LETTERS + marks, [value for row in rows for value in row])
        self._letters += len(letters)
        self._letter_bytes += sum(len(letter.payload) for letter in letters)
        while self._letters > MAX_LETTERS or self._letter_bytes > MAX_LETTER_BYTES:
            self._drop_oldest_letters()

    def _drop_oldest_letters(self) -> None:
        surplus = min(max(self._letters - MAX_LETTERS, 1), _LETTERS_A_TRIM)
        dropped = self._writer.execute(
            "DELETE FROM dead_letters WHERE id IN"
            " (SELECT id FROM dead_letters ORDER BY id LIMIT ?) RETURNING length(payload)",
            (surplus,),
        ).fetchall()
        self._letters -= len(dropped)
        self._letter_bytes -= sum(size for (size,) in dropped)
        self.letters_dropped += len(dropped)

    def _measure_letters(self) -> None:
        self._letters, self._letter_bytes = self._writer.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead_letters"
        ).fetchone()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _add_new_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version to the schema of today."""
    for table, column, definition in _NEW_COLUMNS:
        columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if (column,) not in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")


def _key(tenant: str, device: str) -> DeviceKey:
    return DeviceKey(TenantId(tenant), DeviceId(device))


def _intervals(spans: str) -> Intervals:
    return msgspec.json.decode(spans, type=Intervals)


def _boot_view(boot: str, spans: str) -> BootView:
    seen = Spans(_intervals(spans))
    return BootView(boot, seen.starts[0], seen.stops[-1], seen.missing())


def _count_rows(entry: Entry) -> str:
    rows = [
        (*key, t.stored, t.duplicate, t.dead, t.filtered, t.heard_at_ms, t.spooled)
        for key, t in entry.tallies.items()
    ]
    return msgspec.json.encode(rows).decode()


def _boot_rows(entry: Entry) -> str:
    rows = [
        (*row.device, row.boot, row.spans, row.declared_first, row.forgotten, row.heard_at_ms)
        for row in entry.boots
    ]
    return msgspec.json.encode(rows).decode()


def _letter_row(letter: NewLetter) -> tuple[object, ...]:
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


def _letter(row: tuple) -> Letter:  # type: ignore[type-arg]  # as SQLite gives it
    letter_id, tenant, device, topic, reason, payload, readings, only, at_ms, *rest = row
    is_shortened, content_type = rest
    return Letter(
        id=letter_id,
        device=None if tenant is None else _key(tenant, device),
        topic=topic,
        reason=reason,
        payload=payload,
        readings=readings,
        received_at_ms=at_ms,
        only=None if only is None else msgspec.json.decode(only, type=list[int]),
        is_shortened=bool(is_shortened),
        content_type=content_type,
    )
