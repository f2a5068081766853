"""Open the store on PostgreSQL."""

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import structlog

from tidegate.errors import StoreAway
from tidegate.store.postgres.connections import Line, Pool
from tidegate.store.postgres.deliveries import PostgresDeliveries
from tidegate.store.postgres.faults import translated_for_operators, translating
from tidegate.store.postgres.migrations import migrate
from tidegate.store.postgres.reading import Reader
from tidegate.store.postgres.states import PostgresStates
from tidegate.store.postgres.sweeping import sweep
from tidegate.store.postgres.watching import Watching
from tidegate.store.postgres.writing import Writer

_WRITERS = 1
_READERS = 1
_LONGEST_START_WAIT_S = 3.0
_CLOSE_TIMEOUT_S = 5.0

log = structlog.get_logger()


class PostgresStore(PostgresStates, PostgresDeliveries):
    """See `tidegate.store.port.Store`."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.pool = pool
        self.watching = Watching(url, secrets.token_hex(8))
        self.reader = Reader()
        self.writer = Writer(self.watching.origin, self.watching.tell)


@asynccontextmanager
async def open_postgres(url: str, *, patience_s: float = math.inf) -> AsyncIterator[PostgresStore]:
    """Open the store; waits up to `patience_s` for the database to be there.

    On leaving, what was handed in is written first, as far as the database answers.

    Raises:
        Misconfigured: the URL is no such, the database refuses user, password or name, or a newer
            version has written it.
        StoreAway: the database did not answer in time.
    """
    with translating(translated_for_operators):
        pool = Pool(url)
    try:
        await _wait_until_ready(pool, patience_s)
        store = PostgresStore(url, pool)
        async with anyio.create_task_group() as tasks:
            for _ in range(_WRITERS):
                tasks.start_soon(store.writer.run, Line(url))
            for _ in range(_READERS):
                tasks.start_soon(store.reader.run, Line(url))
            sweeper = anyio.CancelScope()
            tasks.start_soon(_sweep, sweeper, store)
            try:
                yield store
            finally:
                sweeper.cancel()
                store.reader.gathering.close()
                store.writer.gathering.close()
                tasks.cancel_scope.deadline = anyio.current_time() + _CLOSE_TIMEOUT_S
        store.reader.gathering.fail_all(StoreAway("state store: closed"))
        store.writer.gathering.fail_all(StoreAway("state store: closed"))
    finally:
        await pool.aclose()


async def _sweep(scope: anyio.CancelScope, store: PostgresStore) -> None:
    with scope:
        await sweep(store.pool, store.writer)


async def _wait_until_ready(pool: Pool, patience_s: float) -> None:
    give_up_at = anyio.current_time() + patience_s
    wait_s = 0.1
    while True:
        try:
            await _prepare(pool)
        except StoreAway as exc:
            if anyio.current_time() + wait_s > give_up_at:
                raise
            log.warning("store.awaited", reason=str(exc), next_try_s=wait_s)
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_START_WAIT_S)
        else:
            return


async def _prepare(pool: Pool) -> None:
    with translating(translated_for_operators):
        await pool.asyncpg
        async with pool.connection() as connection:
            await migrate(connection)
