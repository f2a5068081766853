"""Opens the ledger's SQLite file and brings one of an earlier version to the schema of today."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from tidegate.errors import StoreAway

# (table, column, definition) in the order in which versions of the schema brought them.
_NEW_COLUMNS = (
    ("dead_letters", "is_shortened", "INTEGER NOT NULL DEFAULT 0"),
    ("dead_letters", "content_type", "TEXT"),
    ("devices", "spooled", "INTEGER NOT NULL DEFAULT 0"),
    ("devices", "late", "INTEGER NOT NULL DEFAULT 0"),
    ("devices", "newest_ms", "INTEGER NOT NULL DEFAULT 0"),
    ("devices", "skew_ms", "INTEGER"),
    ("devices", "last_gap", "TEXT"),
    ("boots", "closed", "INTEGER NOT NULL DEFAULT 0"),
    ("boots", "newest_ms", "INTEGER NOT NULL DEFAULT 0"),
    ("boots", "missing", "INTEGER NOT NULL DEFAULT 0"),
    ("boots", "declared", "INTEGER NOT NULL DEFAULT 0"),
)
_BUSY_S = 5.0


class LedgerAway(StoreAway):
    """The ledger's file cannot be read or written now (a full disk); the caller retries."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into `LedgerAway`."""
    try:
        yield
    except sqlite3.Error as exc:
        raise LedgerAway(f"the ingest ledger does not answer: {exc}") from exc


def statement(name: str) -> str:
    """Return the SQL of that name."""
    return (resources.files("cloud.ingest.ledger") / "sql" / f"{name}.sql").read_text("utf-8")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection on which a committed transaction is durable."""
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make what is missing of tables and columns."""
    connection.executescript(statement("schema") + statement("sparkplug"))
    for table, column, definition in _NEW_COLUMNS:
        columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if (column,) not in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
