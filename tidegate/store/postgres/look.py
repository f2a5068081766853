"""Look into a store that may be in use, and change nothing."""

from typing import Any

import asyncpg

from tidegate.store.model import StoreLook
from tidegate.store.postgres.connections import SQL
from tidegate.store.postgres.faults import translated_for_operators, translating
from tidegate.store.postgres.migrations import newest, seen_by

_TIMEOUT_S = 10.0
_IS_THERE = "SELECT to_regclass('tidegate.delivery') IS NOT NULL"


async def look_into_postgres(url: str) -> StoreLook | None:
    """Return what the database holds, None when there is no store in it yet.

    Raises:
        StoreAway: it does not answer within 10 s.
        Misconfigured: it does not let us in.
    """
    with translating(translated_for_operators):
        connection = await asyncpg.connect(url, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
        try:
            return await _look(connection)
        finally:
            connection.terminate()


async def _look(connection: Any) -> StoreLook | None:
    if not await connection.fetchval(_IS_THERE):
        return None
    waiting = [tuple(row) for row in await connection.fetch(SQL["waiting"])]
    dead = [tuple(row) for row in await connection.fetch(SQL["dead_counts"])]
    return StoreLook(await seen_by(connection), newest(), waiting, dead)
