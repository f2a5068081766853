"""Sweep the table of deliveries, whose rows live for milliseconds.

A claim begins at the front of an index, where the rows that are gone were: left to the database's
own sweeping once a minute, claims take ten times as long at a few thousand events a second.
"""

import anyio
import structlog

from tidegate.errors import NonRetriable, StoreAway
from tidegate.store.postgres.connections import Pool
from tidegate.store.postgres.writing import Writer

_EVERY_S = 3.0
_AFTER_DELIVERIES = 5_000
# Of a backlog that is larger than this a sweep takes too long to be done in passing.
_LARGEST_BYTES = 256 * 1024 * 1024

log = structlog.get_logger()


async def sweep(pool: Pool, writer: Writer) -> None:
    """Sweep now and then, when this process has ended many deliveries, until cancelled."""
    swept_at = 0
    while True:
        await anyio.sleep(_EVERY_S)
        if writer.ended - swept_at < _AFTER_DELIVERIES:
            continue
        swept_at = writer.ended
        try:
            if await pool.value("size_of_deliveries") < _LARGEST_BYTES:
                await pool.execute("sweep")
        except (StoreAway, NonRetriable) as exc:
            log.warning("store.unswept", reason=str(exc))
