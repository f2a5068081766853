"""A pipeline whose store comes and goes, in a process that a test kills: `PORT FOLDER SEED`.

Prints a JSON list [[device, seq], …] of every batch once it is acknowledged.
"""

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Spool
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.port import StoreAway
from tests.support.ingestion import Running, running
from wire.points import PointBatch, StoredBatch

SETTINGS = Settings(
    batch_readings=50,
    batch_wait_s=0.02,
    spool=Spool(max_bytes=200_000, after_s=0.01, keep_free_bytes=0),
)


class Coming(DuckDB):
    """A store that is away for some hundredths of a second, again and again."""

    is_away = False

    async def write(self, batch: PointBatch) -> None:
        """Store, unless away."""
        if self.is_away:
            raise StoreAway("switched off by the test")
        await super().write(batch)


def line_of(batches: Sequence[StoredBatch]) -> str:
    """Return the readings of batches as a line; their time is their sequence."""
    pairs = [
        (series.device, ts_ms)
        for batch in batches
        for series, ts_ms in zip(batch.points.series, batch.points.ts_ms, strict=True)
    ]
    return msgspec.json.encode(pairs).decode()


async def _come_and_go(store: Coming, rng: random.Random) -> None:
    while True:
        await anyio.sleep(rng.uniform(0.02, 0.2))
        store.is_away = not store.is_away


async def _tell(run: Running) -> None:
    told = 0
    while True:
        await anyio.sleep(0.002)
        batches = run.tapped[told:]
        told += len(batches)
        if batches:
            print(line_of(batches), flush=True)  # noqa: T201 - the parent reads it


async def ingest(port: int, folder: Path, seed: int) -> None:
    """Ingest until killed."""
    access = BrokerAccess("127.0.0.1", port)
    async with (
        Coming(folder / "t.duckdb") as store,
        running(folder, store, broker=access, settings=SETTINGS) as run,
        anyio.create_task_group() as tasks,
    ):
        print("connected", flush=True)  # noqa: T201 - as above
        store.is_away = bool(seed % 2)
        tasks.start_soon(_come_and_go, store, random.Random(seed))
        tasks.start_soon(_tell, run)


if __name__ == "__main__":
    anyio.run(ingest, int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
