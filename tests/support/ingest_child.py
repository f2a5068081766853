"""A pipeline in a process that a test kills: `PORT FOLDER`; prints how many points are stored."""

import sys
from pathlib import Path

import anyio

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.timeseries.duckdb import DuckDB
from tests.support.ingestion import running


async def ingest(port: int, folder: Path) -> None:
    """Ingest until killed."""
    access = BrokerAccess("127.0.0.1", port)
    settings = Settings(batch_readings=50, batch_wait_s=0.02)
    async with (
        DuckDB(folder / "t.duckdb") as store,
        running(folder, store, broker=access, settings=settings) as run,
    ):
        # In one piece each: the log of another thread must not get in between.
        print("connected\n", end="", flush=True)  # noqa: T201 - the parent reads it
        while True:
            await anyio.sleep(0.005)
            points = sum(map(len, (batch.points for batch in run.tapped)))
            print(f"{points}\n", end="", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    anyio.run(ingest, int(sys.argv[1]), Path(sys.argv[2]))
