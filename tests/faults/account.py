"""What became of every message: counted in the store and in the ledger, after everything."""

from dataclasses import dataclass
from pathlib import Path

from cloud.ingest.ledger.ledger import Ledger
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import TimeSeries
from tests.faults.ingester import secret_url
from tests.faults.publisher import Orders, Outcome
from tests.support.ingestion import ALWAYS, intervals
from wire.ids import DeviceKey, device_id, tenant_id


@dataclass(frozen=True)
class Account:
    """Readings by what became of them.

    `lost` were published and are nowhere: not stored, dead, or in a gap that the ledger
    declares. `stored_in_gaps` are stored though the ledger declares them missing.
    `acked_and_missing` were acknowledged end to end and are neither stored nor dead.
    `stored_twice` are points beyond the first of a sequence, `miscounted` is how far the
    ledger's count of stored readings is from what is stored.
    """

    published: int
    repeated: int
    stored: int
    duplicate: int
    dead: int
    in_gaps: int
    stored_in_gaps: int
    lost: int
    acked_and_missing: int
    stored_twice: int
    miscounted: int

    def faults(self) -> dict[str, int]:
        """Return what must be 0 and is not."""
        wrong = ("lost", "acked_and_missing", "stored_twice", "miscounted")
        return {name: getattr(self, name) for name in wrong if getattr(self, name)}


async def account_of(folder: Path, store: str | None, orders: Orders, outcome: Outcome) -> Account:
    """Count; nobody may have the store or the ledger open."""
    totals = [0] * 9
    async with open_timeseries(secret_url(store), data_dir=folder) as series:
        stored = await _stored(series, orders)
    async with Ledger(folder / "ingest.db") as ledger:
        for number in range(orders.devices):
            seqs = stored.get(f"d{number}", [])
            one = await _of_device(ledger, number, seqs, orders, outcome)
            totals = [total + part for total, part in zip(totals, one, strict=True)]
    last = orders.messages // orders.devices
    published = last * orders.devices
    return Account(published, outcome.sent - published, *totals)


async def _stored(store: TimeSeries, orders: Orders) -> dict[str, list[int]]:
    """Return the sequences stored of each device, one for each point."""
    return {
        str(one.key.device): [ts_ms - orders.first_ts_ms for ts_ms, _ in one.points]
        for one in await store.read(ALWAYS)
        if one.key.tenant == "faults" and one.key.metric == "v"
    }


async def _of_device(
    ledger: Ledger, number: int, seqs: list[int], orders: Orders, outcome: Outcome
) -> list[int]:
    view = await ledger.view(DeviceKey(tenant_id("faults"), device_id(f"d{number}")))
    last = orders.messages // orders.devices
    stored = set(seqs)
    boots = [boot for boot in view.boots if boot.boot == "b"]
    gaps = {seq for boot in boots for first, stop in boot.missing for seq in range(first, stop + 1)}
    seen_last = max((boot.last for boot in boots), default=0)
    missing = set(range(1, last + 1)) - stored
    acked = outcome.acked[number]
    return [
        len(stored),
        view.duplicate,
        view.dead,
        sum(intervals(boot.missing) for boot in boots),
        len(stored & gaps),
        max(0, len({seq for seq in missing - gaps if seq <= max(seen_last, acked)}) - view.dead)
        + max(0, last - seen_last),
        max(0, sum(seq <= acked for seq in missing) - view.dead),
        len(seqs) - len(stored),
        abs(view.stored - len(seqs)),
    ]
