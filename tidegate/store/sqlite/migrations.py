"""Bring the file's schema up to date: numbered scripts, each run once, in order."""

import sqlite3
from pathlib import Path

from tidegate.errors import Misconfigured

_SCRIPTS = Path(__file__).parent / "schema"


def migrate(db: sqlite3.Connection) -> None:
    """Run the scripts that this file has not seen; each is applied whole or not at all.

    Raises:
        Misconfigured: the file was written by a newer version.
    """
    scripts = sorted(_SCRIPTS.glob("*.sql"))
    seen = _version(db)
    if seen > len(scripts):
        raise Misconfigured(f"written by a newer version (schema {seen}); install that one")
    for number, script in enumerate(scripts[seen:], start=seen + 1):
        # The number is looked up again under the lock: another process may have been faster.
        db.execute("BEGIN IMMEDIATE")
        try:
            if _version(db) < number:
                for statement in _statements(script.read_text("utf-8")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Split a script: `executescript` would commit the transaction that is open."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
