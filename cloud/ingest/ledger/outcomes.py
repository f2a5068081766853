"""What requests were answered, in the ledger's file: whoever repeats one gets the same answer.

It is written in the transaction that counts the readings, so that a request is either counted
and remembered or neither. A day's outcomes are kept, within bounds; the oldest go first.
"""

import sqlite3
import zlib
from importlib import resources

import msgspec

from cloud.ingest.ledger.accounts import KeptOutcome, Outcome
from cloud.ingest.ledger.limits import Limits
from wire.ids import DeviceKey
from wire.messages import Refusal

KEPT_MS = 24 * 3_600_000
# Of one outcome; more refusals than these are not told again.
MAX_REFUSALS = 1_000

_FORGET = (resources.files("cloud.ingest.ledger") / "sql" / "forget_outcomes.sql").read_text(
    "utf-8"
)
_PUT = (
    "INSERT OR REPLACE INTO outcomes (tenant, device, key, digest, outcome, at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_GET = (
    "SELECT digest, outcome FROM outcomes WHERE tenant = ? AND device = ? AND key = ? AND at_ms > ?"
)
_FORGET_OLD = "DELETE FROM outcomes WHERE at_ms <= ?"
_FORGET_SURPLUS = (
    "DELETE FROM outcomes WHERE at_ms <= (SELECT at_ms FROM outcomes"
    " ORDER BY at_ms DESC LIMIT 1 OFFSET ?)"
)


def put_outcomes(writer: sqlite3.Connection, kept: list[KeptOutcome], limits: Limits) -> None:
    """Write outcomes, and forget those that are too old or too many; inside a transaction."""
    for request, outcome, at_ms in kept:
        packed = _packed(outcome)
        writer.execute(_PUT, (*request.device, request.key, request.digest, packed, at_ms))
    for tenant, device in {one.request.device for one in kept}:
        names = {"tenant": tenant, "device": device, "keep": limits.outcomes_of_a_device}
        writer.execute(_FORGET, names)
    writer.execute(_FORGET_OLD, (max(one.at_ms for one in kept) - KEPT_MS,))
    writer.execute(_FORGET_SURPLUS, (limits.outcomes,))


def outcome_of(
    reader: sqlite3.Connection, device: DeviceKey, key: str, *, now_ms: int
) -> tuple[bytes, Outcome] | None:
    """Return the digest and the outcome of a request of the last day, None when there is none."""
    row = reader.execute(_GET, (*device, key, now_ms - KEPT_MS)).fetchone()
    return None if row is None else (row[0], _unpacked(row[1]))


def _packed(outcome: Outcome) -> bytes:
    if len(outcome.rejected) > MAX_REFUSALS:
        more = len(outcome.rejected) - MAX_REFUSALS
        last = Refusal(outcome.rejected[MAX_REFUSALS].index, f"and {more - 1} more, not kept")
        rejected = [*outcome.rejected[:MAX_REFUSALS], last]
        outcome = msgspec.structs.replace(outcome, rejected=rejected)
    return zlib.compress(msgspec.json.encode(outcome))


def _unpacked(packed: bytes) -> Outcome:
    return msgspec.json.decode(zlib.decompress(packed), type=Outcome)
