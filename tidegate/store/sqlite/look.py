"""Look into the file of a store that may be in use, and change nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tidegate.errors import StoreAway
from tidegate.store.model import StoreLook
from tidegate.store.sqlite.migrations import newest, version_of
from tidegate.store.sqlite.statements import SQL

_TIMEOUT_S = 5.0


def look_into_sqlite(file: Path) -> StoreLook | None:
    """Return what the file holds, None when there is none.

    Raises:
        StoreAway: it cannot be read, or is no database.
    """
    if not file.exists():
        return None
    address = f"file:{quote(str(file.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_TIMEOUT_S)) as db:
            schema = version_of(db)
            if schema == 0:
                return StoreLook(0, newest(), [], [])
            waiting = db.execute(SQL["waiting"]).fetchall()
            return StoreLook(schema, newest(), waiting, db.execute(SQL["dead_counts"]).fetchall())
    except sqlite3.Error as exc:
        raise StoreAway(f"{file}: {exc}") from exc
