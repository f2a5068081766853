"""Look into a PostgreSQL store that may be in use, and change nothing."""

from pathlib import Path
from typing import Any

import asyncpg

from tidegate.errors import StoreAway
from tidegate.store.model import StoreLook

_TIMEOUT_S = 10.0
_SCRIPTS = Path(__file__).parent / "postgres" / "schema"
_IS_THERE = "SELECT to_regclass('tidegate.' || $1) IS NOT NULL"
_SCHEMA = "SELECT count(*) FROM tidegate.migration"
_WAITING = "SELECT step, count(*) FROM tidegate.delivery GROUP BY step ORDER BY step"
_DEAD = "SELECT step, count(*) FROM tidegate.dead GROUP BY step ORDER BY step"


async def look_into_postgres(url: str) -> StoreLook | None:
    """Return what the database holds, None when there is no store in it yet.

    Raises:
        StoreAway: it does not answer within 10 s, or does not let us in.
    """
    try:
        connection = await asyncpg.connect(url, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as exc:
        raise StoreAway(f"the database does not answer: {exc or type(exc).__name__}") from exc
    try:
        return await _look(connection)
    except (OSError, TimeoutError, asyncpg.PostgresError) as exc:
        raise StoreAway(f"the database does not answer: {exc or type(exc).__name__}") from exc
    finally:
        connection.terminate()


async def _look(connection: Any) -> StoreLook | None:
    if not await connection.fetchval(_IS_THERE, "delivery"):
        return None
    has_number = await connection.fetchval(_IS_THERE, "migration")
    schema = int(await connection.fetchval(_SCHEMA)) if has_number else 0
    waiting = [tuple(row) for row in await connection.fetch(_WAITING)]
    dead = [tuple(row) for row in await connection.fetch(_DEAD)]
    return StoreLook(schema, len(list(_SCRIPTS.glob("*.sql"))), waiting, dead)
