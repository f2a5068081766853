"""An intake without a ledger file, and what it makes of a few payloads."""

import msgspec

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.ledger.accounts import Tally
from cloud.ingest.messages import Messages
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Blank
from wire.ids import DeviceKey, device_id, tenant_id

PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
TOPIC = b"t/acme/pump/telemetry"
NOW_MS = 1_700_000_000_000


def chunk_of(*payloads: bytes, topic: bytes = TOPIC, flags: int = 0x32) -> Chunk:
    """Return messages as they are received together."""
    count = len(payloads)
    messages = Messages([topic] * count, list(payloads), [b"\0\1"] * count, [flags] * count)
    return Chunk(messages, NOW_MS, generation=1)


def reading_of(seq: int, *, ts: int | None = NOW_MS, value: object = 1.0, boot: str = "k") -> bytes:
    """Return a reading of one value."""
    return msgspec.json.encode({"boot": boot, "seq": seq, "ts": ts, "values": {"t": value}})


def filled(*chunks: Chunk, intake: Intake | None = None, settings: Settings | None = None) -> Batch:
    """Return the batch that comes of it."""
    batch, backlog = Batch(), Backlog()
    backlog.chunks.extend(chunks)
    (intake or new_intake(settings)).fill(batch, backlog)
    batch.seal()
    return batch


def new_intake(settings: Settings | None = None) -> Intake:
    """Return an intake that remembers nothing."""
    return Intake(Blank(), settings or Settings())


def fates_of(batch: Batch) -> tuple[int, int, int, int]:
    """Return how many of the pump's readings were stored, duplicate, dead and filtered."""
    tally = batch.entry.tallies.get(PUMP, Tally())
    return tally.stored, tally.duplicate, tally.dead, tally.filtered
