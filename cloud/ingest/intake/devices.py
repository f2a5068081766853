"""What is known of devices between batches: in memory, else the ledger is asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from cloud.ingest.batch import Batch
from cloud.ingest.intake.recent import Recent
from cloud.ingest.intake.taking import Taking
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.known import Known
from cloud.ingest.sharing.peers import Claim
from wire.ids import DeviceKey, TenantId


class Past(Protocol):
    """What was known before the start, or before it was forgotten (`cloud.ingest.ledger.ledger`).

    Both calls block, and raise `LedgerAway` when they cannot be answered now.
    """

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what is known of a device; nothing when it was never heard."""
        ...

    def series_of(self, tenant: TenantId) -> int:
        """Return how many series a tenant has."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """How many are remembered between batches; the ledger is asked for the others again."""

    devices: int = 200_000
    topics: int = 200_000


MEMORY = Memory()


class Devices:
    """The devices heard last, `Memory.devices` of them, and those in batches under way."""

    def __init__(self, past: Past, taking: Taking, memory: Memory) -> None:
        self._past = past
        self._taking = taking
        self._recent: Recent[DeviceKey, Known] = Recent(memory.devices)
        # Who was forgotten while a batch that is not committed holds on to it.
        self._alive: WeakValueDictionary[DeviceKey, Known] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._recent)

    def known(self, device: DeviceKey, batch: Batch) -> Known:
        """Return what is known of a device; the batch notes whom it hears of first.

        Raises:
            LedgerAway: the ledger cannot be asked now; nothing was changed.
        """
        known = self._recent.get(device)
        if known is not None:
            return known
        known = self._alive.get(device)
        if known is None:
            if not self._taking.knows(device.tenant):
                self._taking.begin(device.tenant, self._past.series_of(device.tenant))
            known = self._alive[device] = Known(device, self._past.recall(device))
            batch.first_seen.append(device)
        self._recent.put(device, known)
        return known

    def learn(self, batch: Batch, claims: Iterable[Claim]) -> None:
        """Take what other ingesters have made durable; raise `LedgerAway` as `known` does.

        It can be called again.
        """
        for claim in claims:
            known = self.known(claim.key(), batch)
            spans = known.boots.get(claim.boot)
            if spans is None:
                spans = known.new_boot(claim.boot)
                batch.entry.devices_with_new_boots.add(known.device)
            if not spans.merge(claim.spans) and claim.declared_first <= spans.declared_first:
                continue
            spans.declare_first(claim.declared_first)
            batch.tally(known, claim.heard_at_ms)
            batch.learned[spans] = (known.device, claim.boot)

    def forget_series(self, tenant: str, device: str | None) -> None:
        """Forget the series of a device, or of all of a tenant."""
        for known in list(self._alive.values()):
            if known.device.tenant == tenant and device in (None, known.device.device):
                known.forget_series()
