"""Batches and spools for tests that put the one into the other."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.messages import Messages
from cloud.ingest.spool.contents import Contents
from cloud.ingest.spool.frame import Draft
from cloud.ingest.spool.spool import Spool
from cloud.ingest.spooling import draft_of
from cloud.settings import Ingest
from cloud.settings import Spool as Settings
from tests.support.ingestion import Blank

ROOMY = Settings(max_bytes=1024 * 1024, keep_free_bytes=0)


def batch_of(payloads: Iterable[tuple[str, bytes]], *, received_ms: int = 1_000) -> Batch:
    """Return a batch of (device, payload), received together, decoded by the real intake."""
    messages = Messages()
    for device, payload in payloads:
        messages.topics.append(f"t/acme/{device}/telemetry".encode())
        messages.payloads.append(payload)
        messages.mids.append(b"")
        messages.flags.append(0)
    batch = Batch()
    intake = Intake(Blank(), Ingest(batch_readings=10**6))
    intake.fill(batch, Backlog(deque([Chunk(messages, received_ms)])))
    return batch


def payload_of(seq: int, values: Mapping[str, object] | None = None) -> bytes:
    """Return a payload of one reading."""
    return msgspec.json.encode(
        {"boot": "k", "seq": seq, "ts": seq, "values": values or {"t": float(seq)}}
    )


def draft(seqs: Iterable[int], *, device: str = "pump") -> Draft:
    """Return a record of readings with these sequences."""
    return draft_of(batch_of((device, payload_of(seq)) for seq in seqs))


def spool_in(folder: Path, settings: Settings = ROOMY) -> Spool:
    """Return the spool of a folder; it is to be recovered."""
    return Spool(folder, settings, now_ms=lambda: 5_000)


def put(spool: Spool, seqs: Sequence[int]) -> int:
    """Append a record and confirm it; return its number."""
    record_id = spool.append(draft(seqs))
    spool.confirm()
    return record_id


def seqs_of(contents: Iterable[Contents]) -> list[int]:
    """Return the sequences of the readings in records, in order."""
    return [
        msgspec.json.decode(message.payload)["seq"]
        for part in contents
        for message in part.messages
    ]


def drain_all(spool: Spool) -> list[int]:
    """Take everything off the spool; return the sequences, in order."""
    found: list[int] = []
    while (front := spool.front(1)) is not None:
        found += seqs_of(front.contents)
        spool.drained(front)
    return found


def files_in(folder: Path, ending: str = ".seg") -> list[Path]:
    """Return the spool's files with that ending, oldest first."""
    return sorted(folder.glob(f"*{ending}"))
