"""What a batch changes in the ledger, and what the ledger answers. Data only."""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from cloud.ingest.ledger.moments import Moments
from cloud.ingest.ledger.skew import Skew
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceKey, MetricName
from wire.messages import Refusal
from wire.sparkplug.session import Saved

# Facts: the spool's records that were committed and drained last.
APPENDED, DRAINED = "spool.appended", "spool.drained"


@dataclass(slots=True)
class Tally:
    """What became of one device's readings in one batch, and when it was heard (Unix ms).

    `spooled` ones wait on disk for the store: they are in flight, durably.
    `late` of the stored ones came late. `newest_ms` and `skew_ms` are how things stand after
    the batch, see `Known`; `gap` is the hole that the batch opened last.
    """

    stored: int = 0
    duplicate: int = 0
    dead: int = 0
    filtered: int = 0
    heard_at_ms: int = 0
    spooled: int = 0
    late: int = 0
    newest_ms: int = 0
    skew_ms: int | None = None
    gap: "Gap | None" = None

    def readings(self) -> int:
        """Return how many readings became durable."""
        return self.stored + self.duplicate + self.dead + self.filtered + self.spooled


class Gap(msgspec.Struct, frozen=True):
    """Sequences `first` to `last` of a boot that had not come when a later one did."""

    boot: str
    first: int
    last: int
    at_ms: int


class Counts(NamedTuple):
    """Readings by fate as the ledger has them; `late` of the stored ones came late."""

    stored: int = 0
    duplicate: int = 0
    dead: int = 0
    filtered: int = 0
    spooled: int = 0
    late: int = 0


class Holes(NamedTuple):
    """How many readings did not come: they may still, or the sender `declared` them lost."""

    missing: int = 0
    declared: int = 0


class BootRow(NamedTuple):
    """One boot of a device as it stands after a batch (`ledger.spans.Spans`)."""

    device: DeviceKey
    boot: str
    spans: list[tuple[int, int]]
    declared_first: int
    forgotten: int
    heard_at_ms: int
    closed: int = 0
    newest_ms: int = 0
    holes: Holes = Holes()


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A message, or some of its readings (`only`: their indexes), that cannot be stored.

    `is_shortened`: the payload was too large to keep whole, so it can never be replayed.
    `content_type` is what the sender said of it.
    """

    device: DeviceKey | None
    topic: str
    reason: str
    payload: bytes
    readings: int
    received_at_ms: int
    only: list[int] | None = None
    is_shortened: bool = False
    content_type: str | None = None


class RequestKey(NamedTuple):
    """What a sender calls one request by (`Idempotency-Key`), and a digest of what it holds."""

    device: DeviceKey
    key: str
    digest: bytes


class Outcome(msgspec.Struct, frozen=True):
    """What a request was answered; `malformed` when nothing of it could be decoded."""

    accepted: int = 0
    rejected: list[Refusal] = []
    malformed: str | None = None


class KeptOutcome(NamedTuple):
    """A request's outcome as it is remembered: the same key within a day gets it again."""

    request: RequestKey
    outcome: Outcome
    at_ms: int


@dataclass(slots=True)
class Entry:
    """Everything that one batch writes into the ledger, in one transaction.

    `moments` are (device, number, mark), see `Moments`; `series` those first seen; `missing`
    and `declared` how much more of each there is now, see `Holes`. `expected` is what the batch
    has in flight: the commit takes it off. `facts` are remembered with it.
    """

    tallies: dict[DeviceKey, Tally] = field(default_factory=dict)
    boots: list[BootRow] = field(default_factory=list)
    letters: list[NewLetter] = field(default_factory=list)
    closed_letters: list[int] = field(default_factory=list)
    devices_with_new_boots: set[DeviceKey] = field(default_factory=set)
    facts: dict[str, str] = field(default_factory=dict)
    outcomes: list[KeptOutcome] = field(default_factory=list)
    sessions: list[Saved] = field(default_factory=list)
    moments: list[tuple[DeviceKey, int, bytes]] = field(default_factory=list)
    series: list[tuple[DeviceKey, MetricName]] = field(default_factory=list)
    missing: int = 0
    declared: int = 0
    expected: dict[DeviceKey, int] = field(default_factory=dict)


@dataclass(slots=True)
class Remembered:
    """What the ledger knows of a device that is heard for the first time since the start."""

    boots: dict[str, Spans] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)
    metrics: list[MetricName] = field(default_factory=list)
    newest_ms: int = 0
    skew: Skew = field(default_factory=Skew)


class Letter(msgspec.Struct, frozen=True):
    """A stored dead letter; of one that `is_shortened` only the payload's beginning is kept."""

    id: int
    device: DeviceKey | None
    topic: str
    reason: str
    payload: bytes
    readings: int
    received_at_ms: int
    only: list[int] | None = None
    is_shortened: bool = False
    content_type: str | None = None


class BootView(msgspec.Struct, frozen=True):
    """One boot as the API shows it: lowest and highest sequence seen, and the holes from 1 on."""

    boot: str
    first: int
    last: int
    missing: list[tuple[int, int]]


class Fates(msgspec.Struct, frozen=True):
    """Readings by fate: received = stored + duplicate + dead + filtered + in_flight."""

    received: int
    stored: int
    duplicate: int
    dead: int
    filtered: int
    in_flight: int


class LastGap(Gap, frozen=True):
    """The hole that was opened last; `missing` of its readings have not come since."""

    missing: int = 0


class LedgerView(Fates, frozen=True):
    """One device's account, and its boots, the one heard last at the end.

    `late` of the stored readings came late. `skew_ms`: received - device time, see `Skew`.
    """

    boots: list[BootView]
    late: int = 0
    skew_ms: int | None = None
    last_gap: LastGap | None = None


class Totals(Fates, frozen=True):
    """Readings of all devices by fate, and how many did not come."""

    late: int = 0
    missing: int = 0
    declared: int = 0


class LetterQuery(msgspec.Struct, frozen=True):
    """Which dead letters: of a tenant, a device or all; with ids below `before`.

    `reason`: only those whose reason contains that text, in capitals or not.
    """

    tenant: str | None = None
    device: str | None = None
    limit: int = 100
    before: int = 2**62
    reason: str | None = None
