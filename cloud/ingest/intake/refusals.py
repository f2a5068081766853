"""What is done with messages and readings that cannot be stored: dead letters, counted once."""

from cloud.ingest.batch import Batch, Origin
from cloud.ingest.inbox import Chunk
from cloud.ingest.ledger.accounts import Tally
from wire.messages import Refusal

_REASONS_SHOWN = 5


def refused_anew(
    origin: Origin, refused: list[Refusal], *, seen_now: dict[int, bool], tally: Tally
) -> list[Refusal]:
    """Return those of the refused readings that were not refused in an earlier delivery.

    `seen_now`: index → whether its sequence is new, as far as the payload shows sequences.
    """
    replay = origin.chunk.replay
    if replay is not None:
        return [one for one in refused if replay.only is None or one.index in replay.only]
    anew = [one for one in refused if seen_now.get(one.index, True)]
    tally.duplicate += len(refused) - len(anew)
    return anew


def refuse_all(
    batch: Batch, origin: Origin, reason: str, *, seen_now: dict[int, bool], tally: Tally
) -> None:
    """Dead-letter a message that cannot be decoded: it counts as one reading.

    A letter that comes back stays what it was: as many dead readings, of the same indexes.
    """
    chunk = origin.chunk
    batch.readings += 1
    if chunk.reply is not None:
        chunk.reply.malformed = reason
    replay = chunk.replay
    if replay is not None:
        tally.dead += replay.readings
        only = None if replay.only is None else sorted(replay.only)
        batch.bury(origin, reason, readings=replay.readings, only=only)
    elif seen_now and not any(seen_now.values()):
        tally.duplicate += 1
    else:
        tally.dead += 1
        batch.bury(origin, reason, readings=1)


def bury_readings(batch: Batch, origin: Origin, dead: list[Refusal], *, tally: Tally) -> None:
    """Write one dead letter for some readings of a message, and count them."""
    if not dead:
        return
    tally.dead += len(dead)
    only = sorted(one.index for one in dead)
    batch.bury(origin, _reasons(dead), readings=len(dead), only=only)
    if origin.chunk.reply is not None:
        origin.chunk.reply.rejected.extend(dead)


def bury_foreign(batch: Batch, chunk: Chunk, index: int, *, reason: str) -> None:
    """Dead-letter a message on a topic that is nobody's; a letter that comes back stays."""
    if chunk.replay is None:
        batch.bury(Origin(chunk, index, None), reason, readings=0)
        batch.foreign += 1
    elif chunk.reply is not None:
        chunk.reply.malformed = reason
    batch.readings += 1
    pass_over(batch)


def pass_over(batch: Batch) -> None:
    """Take a message that holds nothing for the store."""
    batch.ends.append(len(batch.points.rows.ts_ms))
    batch.taken.append(())
    batch.devices.append(None)


def _reasons(refused: list[Refusal]) -> str:
    shown = [f"reading {one.index}: {one.reason}" for one in refused[:_REASONS_SHOWN]]
    more = len(refused) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
