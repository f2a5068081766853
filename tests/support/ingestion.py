"""An ingest service around any store, for tests that look at what became of messages."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from msgspec import structs
from prometheus_client import CollectorRegistry

from broker.accounts import new_account
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.metrics import metrics
from cloud.ingest.pipeline import Ingest
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.spool.spool import Spool
from cloud.settings import Ingest as Settings
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
    StoreAway,
    TimeSeries,
)
from wire.events import DataLost
from wire.ids import DeviceKey, TenantId
from wire.points import PointBatch, StoredBatch

ALWAYS = SeriesQuery(0, 2**62)
_SOON_S = 15.0


class Blank:
    """A past of which only this is known: boots, one device's, whoever asks."""

    def __init__(self, boots: dict[str, Spans] | None = None) -> None:
        self._boots = boots or {}

    def recall(self, _device: DeviceKey) -> Remembered:
        """Return what is known of a device."""
        return Remembered(dict(self._boots))

    def series_of(self, _tenant: TenantId) -> int:
        """Return how many series a tenant has."""
        return 0


class Flaky:
    """A store in memory that can be away or slow, and that takes no values of `never`."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.failures = 0
        self.away = False
        self.never = 666.0
        self.takes_s = 0.0
        self.written = 0

    async def prepare(self, batch: PointBatch) -> None:
        """Do nothing."""

    async def write(self, batch: PointBatch) -> None:
        """Store, unless away or told to fail."""
        if self.away or self.failures > 0:
            self.failures -= 1
            raise StoreAway("switched off by the test")
        if self.never in batch.values:
            raise PointsRejected(f"{self.never} is refused")
        await anyio.sleep(self.takes_s)
        await self.memory.write(batch)
        self.written += len(batch)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Read from memory."""
        return await self.memory.read(query, limit=limit)

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Read from memory."""
        return await self.memory.page(query, limit=limit, start=start)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Read from memory."""
        return await self.memory.latest(tenant, device)

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete from memory."""
        await self.memory.delete(tenant, device)

    async def tend(self, now_ms: int) -> None:
        """Nothing to do."""

    async def ping(self) -> None:
        """Answer."""


@dataclass
class Running:
    """A running service and everything around it."""

    service: Ingest
    store: TimeSeries
    ledger: Ledger
    presence: Presence
    registry: Registry
    numbers: CollectorRegistry
    tapped: list[StoredBatch] = field(default_factory=list)
    losses: list[DataLost] = field(default_factory=list)

    def number(self, name: str, **labels: str) -> float:
        """Return one of the service's metrics."""
        return self.numbers.get_sample_value(f"tidegate_ingest_{name}", labels) or 0.0

    async def points(self) -> list[tuple[str, int, object]]:
        """Return (metric, time, value) of all that is stored."""
        return [
            (series.key.metric, ts_ms, value)
            for series in await self.store.read(ALWAYS)
            for ts_ms, value in series.points
        ]


@asynccontextmanager
async def running(
    folder: Path,
    store: TimeSeries,
    *,
    broker: BrokerAccess | None = None,
    settings: Settings | None = None,
    now_ms: Callable[[], int] | None = None,
    within_s: float = _SOON_S,
    open_ledger: Callable[[Path], Ledger] = Ledger,
) -> AsyncIterator[Running]:
    """Run the service; it is connected, within `within_s` seconds, when there is a broker."""
    numbers, tapped, presence = CollectorRegistry(), list[StoredBatch](), Presence()
    losses: list[DataLost] = []

    async def note_loss(loss: DataLost) -> None:
        losses.append(loss)

    registry = Registry(folder / "fleet.db", new_account=new_account)
    settings = _with_all_times(settings or Settings(batch_wait_s=0.02))
    clock = {} if now_ms is None else {"now_ms": now_ms}
    async with open_ledger(folder / "ingest.db") as ledger:
        service = Ingest(
            store,
            ledger,
            spool=Spool(folder / "spool", settings.spool),
            presence=presence,
            registry=registry,
            settings=settings,
            broker=broker,
            taps=[tapped.append],
            on_loss=note_loss,
            telling=metrics(numbers),
            rng=random.Random(1),
            **clock,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await until(lambda: service.is_connected, within_s=within_s)
            yield Running(service, store, ledger, presence, registry, numbers, tapped, losses)
            tasks.cancel_scope.cancel()
    registry.close()


def _with_all_times(settings: Settings) -> Settings:
    """Return settings that take any time from 1970 on: tests like small numbers."""
    limits = structs.replace(settings.limits, max_past_days=100_000)
    return structs.replace(settings, limits=limits)


async def until(holds: Callable[[], bool], *, within_s: float = _SOON_S) -> None:
    """Wait until something holds; `TimeoutError` when it does not in time."""
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - it waits for more than one kind of thing
            await anyio.sleep(0.01)


def intervals(missing: Sequence[tuple[int, int]]) -> int:
    """Return how many sequences intervals hold."""
    return sum(last - first + 1 for first, last in missing)
