"""Make a batch durable, whatever it takes: in the store, else on disk, else wait."""

from dataclasses import dataclass
from functools import partial

from cloud.ingest.batch import Batch
from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.metrics import Metrics
from cloud.ingest.patience import Patience
from cloud.ingest.spooling import Spooling
from cloud.ingest.writing import write_what_goes
from cloud.timeseries.port import StoreAway, TimeSeries
from wire.points import PointBatch


@dataclass(frozen=True, slots=True)
class Storing:
    """The store, the spool and the ledger.

    A store that is away is tried for `after_s`, then batches go into the spool, all of them until
    that is empty again: readings of a device stay in order. An outage of the ledger, and one of
    the store with a full spool, are waited out, for ever.
    """

    store: TimeSeries
    ledger: Ledger
    spooling: Spooling
    patience: Patience
    metrics: Metrics
    after_s: float

    async def prepare(self, batch: Batch) -> None:
        """Do what can be done before the batch's turn; raises nothing."""
        if self.spooling.is_empty:
            await self.store.prepare(batch.points)

    async def store_now(self, batch: Batch) -> bool:
        """Store a batch past an empty spool; False when that cannot be done now.

        Not accounted for yet.
        """
        if len(batch.points.rows) and not self.spooling.is_empty:
            return False
        try:
            rejected = await write_what_goes(self._write, batch.points, batch.ends)
        except StoreAway:
            return False
        batch.reject(rejected)
        batch.keep_outcomes()
        return True

    async def account(self, batch: Batch) -> None:
        """Account for a batch that is stored, once those before it are; durable on return."""
        await self.patience.until_done(
            partial(self.ledger.commit, batch.entry), what="ledger", of=LedgerAway
        )

    async def settle_away(self, batch: Batch) -> None:
        """Spool a batch that cannot be stored now, or store it as soon as it can be after all.

        All before it are accounted for, and so is it; durable on return.
        """
        is_refused = False
        while not await self.spooling.put(batch):
            if not is_refused:
                self.metrics.spool_refused.inc()
            is_refused = True
            await self.spooling.wait_for_room()
            if await self.store_now(batch):
                await self.account(batch)
                return

    async def _write(self, points: PointBatch) -> None:
        await self.patience.until_done(
            partial(self.store.write, points), what="store", of=StoreAway, within_s=self.after_s
        )
