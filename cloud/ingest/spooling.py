"""Batches through the spool: in while the store is away, out when it is back, counted exactly.

Each way is two steps, the second of which is a transaction of the ledger: the record is fsynced,
then it is counted as spooled; its points are stored, then it is counted as stored. A crash in
between leaves a record that the ledger does not know (it is cut off, its messages come again),
or one that is stored once more (the same points).
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from cloud.ingest.batch import Batch
from cloud.ingest.ledger.accounts import APPENDED, DRAINED, Entry
from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.metrics import Metrics
from cloud.ingest.patience import Patience
from cloud.ingest.spool.contents import census_of, contents_of, packed, packed_census
from cloud.ingest.spool.draining import Drain, reconciled
from cloud.ingest.spool.frame import Draft
from cloud.ingest.spool.front import Front
from cloud.ingest.spool.spool import Spool, SpoolFull
from cloud.ingest.spool.survey import Known
from cloud.ingest.writing import write_what_goes
from cloud.timeseries.port import StoreAway, TimeSeries
from wire.points import PointBatch

_LOOK_AGAIN_S = 1.0

T = TypeVar("T")

_log = structlog.get_logger()


class Spooling:
    """The spool between the pipeline, the ledger and the store. `recover`, then `put` and `drain`.

    One task puts, one drains.
    """

    def __init__(
        self,
        spool: Spool,
        store: TimeSeries,
        ledger: Ledger,
        patience: Patience,
        *,
        metrics: Metrics,
        now_ms: Callable[[], int],
        batch_readings: int,
    ) -> None:
        self._spool, self._store, self._ledger = spool, store, ledger
        self._patience, self._metrics, self._now_ms = patience, metrics, now_ms
        self._batch_readings = batch_readings
        self._counting = anyio.Lock()
        self.is_waiting = False
        self._changed = anyio.Event()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing waits: only then a batch may go past the spool."""
        return self._spool.is_empty

    async def recover(self) -> None:
        """Take over what an earlier process left."""
        appended = await self._ask(partial(self._ledger.fact, APPENDED))
        drained = await self._ask(partial(self._ledger.fact, DRAINED))
        known = Known(None if appended is None else int(appended), int(drained or 0))
        there = await anyio.to_thread.run_sync(self._spool.recover, known)
        if there:
            _log.info("spool.found", readings=sum(there.values()), devices=len(there))
        expected = await self._ask(self._ledger.spooled)
        entry = reconciled(expected, there, now_ms=self._now_ms())
        entry.facts[APPENDED] = str(self._spool.last_id)
        await self._settle_loss(entry)

    async def put(self, batch: Batch) -> bool:
        """Put a batch behind what is there; durable and accounted for when True comes back.

        False: nothing was kept, there is no room.
        """
        if not self._spool.max_bytes:
            return False
        draft = await anyio.to_thread.run_sync(draft_of, batch)
        async with self._counting:
            try:
                record_id = await anyio.to_thread.run_sync(self._spool.append, draft)
            except SpoolFull as exc:
                _log.debug("spool.refused", reason=str(exc))
                return False
            batch.spool(record_id)
            await self._commit(batch.entry)
            is_first = self._spool.is_empty
            await anyio.to_thread.run_sync(self._spool.confirm)
        if is_first:
            _log.warning("spool.begun", reason="the telemetry store is away")
        self._note_change()
        return True

    async def wait_for_room(self) -> None:
        """Wait until something was drained, or a second: a disk does not tell when it has room."""
        self.is_waiting = True
        with anyio.move_on_after(_LOOK_AGAIN_S):
            await self._changed.wait()
        self.is_waiting = False

    async def drain(self) -> None:
        """Store what is in the spool, from its front, whenever something is; until cancelled."""
        while True:
            changed = self._changed
            front = await anyio.to_thread.run_sync(self._spool.front, self._batch_readings)
            if front is None:
                await changed.wait()
                continue
            if front.is_damaged:
                await self._reconcile()
            await self._drain(front)
            self._note_change()

    async def _drain(self, front: Front) -> None:
        drain = await anyio.to_thread.run_sync(Drain, front.contents)
        rejected = await write_what_goes(self._write, drain.points, drain.ends)
        entry = drain.entry(rejected, last_id=front.last_id)
        await self._commit(entry)
        await anyio.to_thread.run_sync(self._spool.drained, front)
        self._metrics.count_drained(entry)
        if self._spool.is_empty:
            _log.info("spool.drained")

    async def _write(self, points: PointBatch) -> None:
        write = partial(self._store.write, points)
        await self._patience.until_done(write, of=StoreAway, what="store")

    async def _reconcile(self) -> None:
        """Find out what a record that cannot be read any more has cost."""
        async with self._counting:
            there = await anyio.to_thread.run_sync(self._spool.census)
            expected = await self._ask(self._ledger.spooled)
            await self._settle_loss(reconciled(expected, there, now_ms=self._now_ms()))

    async def _settle_loss(self, entry: Entry) -> None:
        await self._commit(entry)
        lost = sum(letter.readings for letter in entry.letters)
        if lost:
            _log.error("spool.lost", readings=lost, devices=len(entry.letters))
            self._metrics.spool_lost.inc(lost)
            self._metrics.count_drained(entry)

    async def _commit(self, entry: Entry) -> None:
        await self._ask(partial(self._ledger.commit, entry))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(call, of=LedgerAway, what="ledger")

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def draft_of(batch: Batch) -> Draft:
    """Return what the spool is to hold of a batch."""
    contents = contents_of(batch)
    census = census_of(contents)
    return Draft(packed_census(census), packed(contents), sum(census.values()))
