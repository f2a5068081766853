"""An intake with limits of its own, and what it makes of readings, point by point."""

import msgspec

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.ledger.accounts import Tally
from cloud.ingest.messages import Messages
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.ingestion import Blank
from tests.support.intakes import NOW_MS, PUMP, TOPIC


def sent_points(*points: dict[str, object], boot: str | None = "k") -> bytes:
    """Return a payload of points."""
    return msgspec.json.encode({"boot": boot, "points": points})


def point_of(
    seq: int | None = None, ts: int | None = NOW_MS, **values: object
) -> dict[str, object]:
    """Return a point of a payload."""
    return {"seq": seq, "ts": ts, "values": values or {"t": 1.0}}


def filled(
    intake: Intake,
    *payloads: bytes,
    topic: bytes = TOPIC,
    flags: int = 0x32,
    at_ms: int = NOW_MS,
    replay: Replay | None = None,
) -> Batch:
    """Return the batch that comes of it."""
    count = len(payloads)
    messages = Messages([topic] * count, list(payloads), [b"\0\1"] * count, [flags] * count)
    batch, backlog = Batch(), Backlog()
    backlog.chunks.append(Chunk(messages, at_ms, generation=1, replay=replay))
    intake.fill(batch, backlog)
    batch.seal()
    return batch


def new_intake(**limits: int) -> Intake:
    """Return an intake that remembers nothing."""
    return Intake(Blank(), Settings(limits=Limits(**limits)))


def tally_of(batch: Batch) -> Tally:
    """Return what a batch says of the pump."""
    return batch.entry.tallies[PUMP]


def fates_of(batch: Batch) -> tuple[int, int, int, int]:
    """Return how many of the pump's readings were stored, duplicate, dead and filtered."""
    tally = tally_of(batch)
    return tally.stored, tally.duplicate, tally.dead, tally.filtered
