"""Write a batch into the store, whatever it takes, and find out what it will never take."""

from dataclasses import dataclass
from functools import partial

from cloud.ingest.batch import Batch
from cloud.ingest.ledger import Ledger, LedgerAway
from cloud.ingest.patience import Patience
from cloud.timeseries.port import PointsRejected, StoreAway, TimeSeries
from wire.points import PointBatch


@dataclass(frozen=True, slots=True)
class Storing:
    """The store and the ledger, with patience: an outage is waited out, for ever."""

    store: TimeSeries
    ledger: Ledger
    patience: Patience

    async def store_batch(self, batch: Batch) -> None:
        """Store a batch and account for it; durable on return.

        Points that the store will never take are isolated by halving, down to the message
        that holds them, which becomes a dead letter.
        """
        rejected: dict[int, str] = {}
        await self._store_part(batch, 0, len(batch.ends), rejected=rejected)
        batch.reject(rejected)
        batch.keep_outcomes()
        await self.patience.until_done(
            partial(self.ledger.commit, batch.entry), what="ledger", of=LedgerAway
        )

    async def _store_part(
        self, batch: Batch, first: int, last: int, *, rejected: dict[int, str]
    ) -> None:
        if first == last:
            return
        points = batch.points if last - first == len(batch.ends) else batch.part(first, last)
        if not len(points):
            return
        try:
            await self._write(points)
        except PointsRejected as exc:
            if last - first == 1:
                rejected[first] = str(exc)
                return
            middle = (first + last) // 2
            await self._store_part(batch, first, middle, rejected=rejected)
            await self._store_part(batch, middle, last, rejected=rejected)

    async def _write(self, points: PointBatch) -> None:
        await self.patience.until_done(
            partial(self.store.write, points), what="store", of=StoreAway
        )
