"""The pipeline in a process of its own, as `tidegate up` runs it but without everything else.

`python -m bench.ingest_process PORT FOLDER POINTS`: prints `ready` when it receives, and
`stored` when that many points are durable in FOLDER/telemetry.duckdb and accounted for.
"""

import sys
from pathlib import Path

import anyio

from broker.accounts import new_account
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.ingest.client import BrokerAccess
from cloud.ingest.ledger import Ledger
from cloud.ingest.pipeline import Ingest
from cloud.ingest.spool.spool import Spool
from cloud.settings import Ingest as Settings
from cloud.timeseries.duckdb import DuckDB
from wire.points import StoredBatch


async def ingest(port: int, folder: Path, points: int) -> None:
    """Ingest from the broker on `port` until `points` are stored."""
    stored = 0
    done = anyio.Event()

    def count(batch: StoredBatch) -> None:
        nonlocal stored
        stored += len(batch.points)
        if stored >= points:
            print("stored", flush=True)
            done.set()

    registry = Registry(folder / "fleet.db", new_account=new_account)
    async with DuckDB(folder / "telemetry.duckdb") as store, Ledger(folder / "ingest.db") as ledger:
        service = Ingest(
            store,
            ledger,
            spool=Spool(folder / "spool", Settings().spool),
            presence=Presence(),
            registry=registry,
            settings=Settings(),
            broker=BrokerAccess("127.0.0.1", port),
            taps=[count],
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            while not service.is_connected:  # noqa: ASYNC110 - before the clock starts
                await anyio.sleep(0.02)
            print("ready", flush=True)
            await done.wait()
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(ingest, int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
