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
    scripts = _scripts()
    seen = version_of(db)
    if seen > len(scripts):
        raise Misconfigured(f"written by a newer version (schema {seen}); install that one")
    for number, script in enumerate(scripts[seen:], start=seen + 1):
        # The number is looked up again under the lock: another process may have been faster.
        db.execute("BEGIN IMMEDIATE")
        try:
            if version_of(db) < number:
                for statement in _statements(script.read_text("utf-8")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def version_of(db: sqlite3.Connection) -> int:
    """Return how many scripts a file has seen."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def newest() -> int:
    """Return how many scripts there are."""
    return len(_scripts())


def _scripts() -> list[Path]:
    return sorted(_SCRIPTS.glob("*.sql"))


def _statements(script: str) -> list[str]:
    """Split a script: `executescript` would commit the transaction that is open."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
