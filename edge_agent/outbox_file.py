"""Opening the outbox's file: alone, checked, and with a fresh one in place of a damaged one."""

import logging
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge_agent.errors import OutboxUnusable
from edge_agent.outbox import Outbox
from edge_agent.settings import OutboxLimits

log = logging.getLogger(__name__)

FILE_NAME = "outbox.db"
ASIDE_NAME = "outbox.damaged.db"

_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE readings (seq INTEGER PRIMARY KEY, ts_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE outbox (
    boot TEXT NOT NULL, next_seq INTEGER NOT NULL, dropped INTEGER NOT NULL,
    gap_from INTEGER, gap_to INTEGER
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
# Exclusive: a second agent is refused, the kernel frees the lock of a killed one, and SQLite
# needs no shared memory. FULL: a commit is on the disk when it returns.
_PRAGMAS = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -512",
    "PRAGMA journal_size_limit = 4194304",
)


class _Damaged(Exception):
    """Never leaves this file."""


def new_boot() -> str:
    """Return a new boot id: short, and never seen before."""
    return secrets.token_hex(4)


def open_outbox(
    folder: Path,
    limits: OutboxLimits,
    *,
    boot: Callable[[], str] = new_boot,
    busy_timeout_s: float = 5.0,
) -> Outbox:
    """Open the outbox of a folder; make it when absent, set a damaged one aside.

    `busy_timeout_s` is how long an agent that is just stopping may still hold the file.

    Raises:
        OutboxUnusable: the folder cannot be written, or another agent holds the file.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            connection = _open(path, boot(), busy_timeout_s)
        except _Damaged as exc:
            _set_aside(path)
            connection = _open(path, boot(), busy_timeout_s)
            log.warning("outbox.set_aside file=%s kept=%s reason=%s", path, ASIDE_NAME, exc)
    except (OSError, _Damaged) as exc:
        raise OutboxUnusable(f"{folder}: {exc}; choose another folder with --data") from exc
    return Outbox(path, limits, connection=connection)


def outbox_in_memory(limits: OutboxLimits, *, boot: str) -> Outbox:
    """Make an outbox that forgets everything at its end, for tests and trials."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(db, boot)
    return Outbox(Path(":memory:"), limits, connection=db)


def _open(path: Path, boot: str, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as exc:
        raise OutboxUnusable(f"{path}: {exc}; choose another folder with --data") from exc
    try:
        _prepare(db, boot)
    except sqlite3.Error as exc:
        db.close()
        raise _translated(exc, path) from exc
    except _Damaged:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, boot: str) -> None:
    for pragma in _PRAGMAS:
        db.execute(pragma)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
        db.executescript(_SCHEMA)
    elif version != _VERSION:
        raise _Damaged(f"unknown version {version}")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _Damaged(verdict)
    if not db.execute("SELECT 1 FROM outbox").fetchone():
        db.execute("INSERT INTO outbox VALUES (?, 1, 0, NULL, NULL)", (boot,))
    # Takes the exclusive lock now, not with the first reading.
    db.execute("UPDATE outbox SET boot = boot")


def _translated(exc: sqlite3.Error, path: Path) -> Exception:
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutboxUnusable(f"{path}: another agent uses it; stop it or choose another --data")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return _Damaged(str(exc))
    return OutboxUnusable(f"{path}: {exc}; free the disk or choose another folder with --data")


def _set_aside(path: Path) -> None:
    """Keep the last damaged file for inspection; an earlier one is replaced."""
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(path.with_name(ASIDE_NAME + suffix))
