"""The pipeline in a process of its own, as `tidegate up` runs it but without everything else.

`python -m bench.ingest.ours PORT FOLDER URL POINTS`: prints `ready` when it receives; when that
many points are durable and accounted for, prints `stored` and one JSON object: how long points
waited, from their own time to that moment, and how much memory the process holds.
"""

import json
import sys
import time
from pathlib import Path

import anyio
import numpy as np

from bench.steps.load import resident_bytes
from broker.accounts import new_account
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.pipeline import Ingest
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.spool.spool import Spool
from cloud.interpreter import tune_interpreter
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from cloud.timeseries.open import open_timeseries
from tidegate.configuration import Secret
from wire.ids import DeviceKey
from wire.points import StoredBatch

_PERCENTILES = (50, 99)
# What is older counts as this old; loads at full speed carry times of long ago.
_OLDEST_MS = 60_000
# Three values of 100,000 devices are one tenant's: more than is let in by default.
_SETTINGS = Settings(limits=Limits(max_series_per_tenant=1_000_000))


class Stored:
    """Counts what is durable, how old each point was then, and when the last device came."""

    def __init__(self, points: int) -> None:
        self._left = points
        self._of_age_ms = np.zeros(_OLDEST_MS + 1, np.int64)
        self._heard: set[DeviceKey] = set()
        self._steady_points = 0
        self._steady_from_s = self._until_s = time.perf_counter()
        self.done = anyio.Event()

    def count(self, batch: StoredBatch) -> None:
        """Take one batch in."""
        now_ms = time.time_ns() // 1_000_000
        rows = batch.points.rows
        if rows.ts_ms and now_ms - min(rows.ts_ms) < _OLDEST_MS:
            ages_ms = np.clip(now_ms - np.array(rows.ts_ms, np.int64), 0, _OLDEST_MS)
            self._of_age_ms += np.bincount(ages_ms, minlength=_OLDEST_MS + 1)
        else:
            self._of_age_ms[-1] += len(rows)
        self._left -= len(batch.points)
        self._tell_apart(batch)
        if self._left <= 0 and not self.done.is_set():
            print("stored", flush=True)
            self.done.set()

    def figures(self) -> dict[str, float]:
        """Return percentiles of the ages (ms), what was steady, and the memory held (bytes)."""
        younger = np.cumsum(self._of_age_ms)
        ranks = [younger[-1] * percent / 100 for percent in _PERCENTILES]
        p50_ms, p99_ms = np.searchsorted(younger, ranks)
        return {
            "p50_ms": float(p50_ms),
            "p99_ms": float(p99_ms),
            "steady_points": float(self._steady_points),
            "steady_s": self._until_s - self._steady_from_s,
            "resident_bytes": resident_bytes(),
        }

    def _tell_apart(self, batch: StoredBatch) -> None:
        """Tell what came after every device had been heard once from what came before."""
        self._until_s = time.perf_counter()
        heard = len(self._heard)
        self._heard.update(batch.heard_at_ms)
        self._steady_points += len(batch.points)
        if len(self._heard) > heard:
            self._steady_points, self._steady_from_s = 0, self._until_s


async def ingest(port: int, folder: Path, url: str, points: int) -> None:
    """Ingest from the broker on `port` until `points` are stored."""
    tune_interpreter()
    stored = Stored(points)
    registry = Registry(folder / "fleet.db", new_account=new_account)
    async with (
        open_timeseries(Secret(url) if url else None, data_dir=folder) as store,
        Ledger(folder / "ingest.db") as ledger,
    ):
        service = Ingest(
            store,
            ledger,
            spool=Spool(folder / "spool", _SETTINGS.spool),
            presence=Presence(),
            registry=registry,
            settings=_SETTINGS,
            broker=BrokerAccess("127.0.0.1", port),
            taps=[stored.count],
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            while not service.is_connected:  # noqa: ASYNC110 - before the clock starts
                await anyio.sleep(0.02)
            print("ready", flush=True)
            await stored.done.wait()
            print(json.dumps(stored.figures()), flush=True)
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(ingest, int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
