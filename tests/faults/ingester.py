"""An ingester in a process of its own: `python -m tests.faults.ingester JSON` (`Config`).

Writes the file `ready` when it receives. SIGTERM ends it as `tidegate up` would. Files in its
folder switch faults: `clock` holds an offset in milliseconds, while `away` exists the store is
away, while `refusing` exists it refuses every value of 666, `slow` holds the seconds that a write
takes.
"""

import resource
import signal
import sys
import time
from pathlib import Path

import anyio
import msgspec

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Spool as SpoolSettings
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import PointsRejected, StoreAway, TimeSeries
from tests.support.ingestion import running
from tidegate.configuration import Secret
from wire.points import PointBatch, StoredBatch

READY = "ready"


class Config(msgspec.Struct, frozen=True):
    """Where broker, folder and store are; `store` None is DuckDB in the folder."""

    port: int
    folder: str
    store: str | None = None
    client_id: str = "tidegate-ingest"
    group: str | None = None
    keepalive_s: int = 2
    mqtt5: bool = True
    batch_readings: int = Settings().batch_readings
    spool_after_s: float = SpoolSettings().after_s
    spool_max_bytes: int = SpoolSettings().max_bytes


def secret_url(url: str | None) -> Secret | None:
    """Return a store's URL as settings have it."""
    return None if url is None else Secret(url)


class Switched:
    """A store with switches in front of it; everything but writing goes straight through."""

    def __init__(self, store: TimeSeries, folder: Path) -> None:
        self._store = store
        self._away, self._refusing = folder / "away", folder / "refusing"
        self._slow = folder / "slow"

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def write(self, batch: PointBatch) -> None:
        """Write, unless a switch says otherwise."""
        if self._away.exists():
            raise StoreAway("switched off by the test")
        if self._refusing.exists() and 666 in batch.values:
            raise PointsRejected("666 is refused")
        if self._slow.exists():
            await anyio.sleep(float(self._slow.read_text() or 0))
        await self._store.write(batch)


async def ingest(config: Config) -> None:
    """Ingest until SIGTERM."""
    folder = Path(config.folder)
    clock = folder / "clock"

    def now_ms() -> int:
        offset_ms = int(clock.read_text()) if clock.exists() else 0
        return time.time_ns() // 1_000_000 + offset_ms

    access = BrokerAccess(
        "127.0.0.1",
        config.port,
        client_id=config.client_id,
        keepalive_s=config.keepalive_s,
        mqtt5=config.mqtt5,
    )
    spool = SpoolSettings(max_bytes=config.spool_max_bytes, after_s=config.spool_after_s)
    settings = Settings(
        batch_wait_s=0.05,
        batch_readings=config.batch_readings,
        shared_group=config.group,
        spool=spool,
    )
    async with open_timeseries(secret_url(config.store), data_dir=folder) as store:
        switched: TimeSeries = Switched(store, folder)  # type: ignore[assignment]  # __getattr__
        async with running(
            folder, switched, broker=access, settings=settings, now_ms=now_ms, within_s=60
        ) as run:
            (folder / READY).touch()
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_forget_tapped, run.tapped)
                    async for _ in signals:
                        tasks.cancel_scope.cancel()
                        break


async def _forget_tapped(tapped: list[StoredBatch]) -> None:
    while True:
        await anyio.sleep(1)
        tapped.clear()


if __name__ == "__main__":
    # A full disk must be an error, not the end of the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    anyio.run(ingest, msgspec.json.decode(sys.argv[1], type=Config))
