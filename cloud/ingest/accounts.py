"""What a batch changes in the ledger, and what the ledger answers. Data only."""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from wire.ids import DeviceKey
from wire.messages import Refusal
from wire.sparkplug.session import Saved

# Facts: the spool's records that were committed and drained last.
APPENDED, DRAINED = "spool.appended", "spool.drained"


@dataclass(slots=True)
class Tally:
    """What became of one device's readings in one batch, and when it was heard (Unix ms).

    `spooled` ones wait on disk for the store: they are in flight, durably.
    """

    stored: int = 0
    duplicate: int = 0
    dead: int = 0
    filtered: int = 0
    heard_at_ms: int = 0
    spooled: int = 0

    def readings(self) -> int:
        """Return how many readings became durable."""
        return self.stored + self.duplicate + self.dead + self.filtered + self.spooled


@dataclass(frozen=True, slots=True)
class BootRow:
    """One boot of a device as it stands after a batch."""

    device: DeviceKey
    boot: str
    spans: list[tuple[int, int]]
    declared_first: int
    forgotten: int
    heard_at_ms: int


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

    `facts` are remembered with it.
    """

    tallies: dict[DeviceKey, Tally] = field(default_factory=dict)
    boots: list[BootRow] = field(default_factory=list)
    letters: list[NewLetter] = field(default_factory=list)
    closed_letters: list[int] = field(default_factory=list)
    devices_with_new_boots: set[DeviceKey] = field(default_factory=set)
    facts: dict[str, str] = field(default_factory=dict)
    outcomes: list[KeptOutcome] = field(default_factory=list)
    sessions: list[Saved] = field(default_factory=list)


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


class LedgerView(Fates, frozen=True):
    """One device's account, and its boots, the one heard last at the end."""

    boots: list[BootView]


class LetterQuery(msgspec.Struct, frozen=True):
    """Which dead letters: of a tenant, a device or all; with ids below `before`."""

    tenant: str | None = None
    device: str | None = None
    limit: int = 100
    before: int = 2**62
