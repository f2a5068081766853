"""The short way into a batch, for messages of which no reading needs a look of its own.

Nearly every message is such: its readings follow those that its boot has sent, their times follow,
too, and can be believed, and their series are known. What becomes of it is what `Taking` would
make of it.
"""

from bisect import bisect_left
from itertools import repeat

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk
from cloud.ingest.intake.bounds import Bounds
from cloud.ingest.ledger.known import Known
from cloud.ingest.messages import RETAINED
from cloud.settings import Ingest as Settings
from wire.messages import Decoded, Reading, Table
from wire.points import SEQ_MASK, order_of

_MS_PER_S = 1_000


class Plain:
    """Takes whole messages or leaves them, unchanged, to `Taking`."""

    def __init__(self, settings: Settings) -> None:
        self._late_ms = round(settings.late_after_s * _MS_PER_S)
        self._bounds = Bounds(settings)
        self._received_ms = -1
        self._earliest_ms = self._latest_ms = 0

    def take(
        self, batch: Batch, known: Known, chunk: Chunk, place: int, decoded: Decoded | Table
    ) -> bool:
        """Put all readings of a message into the batch's rows; False: nothing was done."""
        if chunk.replay is not None:
            return False
        if chunk.received_ms != self._received_ms:
            self._received_ms = now_ms = chunk.received_ms
            self._earliest_ms, self._latest_ms = self._bounds.window(now_ms, now_ms)
        if isinstance(decoded, Table):
            newest_ms = self._take_table(batch, known, decoded)
        elif len(decoded.readings) == 1 and not decoded.refused:
            newest_ms = self._take_one(batch, known, decoded.readings[0], decoded.first)
        else:
            return False
        if newest_ms is None:
            return False
        if self._received_ms >= known.skew.due_ms and not chunk.messages.flags[place] & RETAINED:
            known.skew.sample(self._received_ms, newest_ms)
        return True

    def _take_one(
        self, batch: Batch, known: Known, reading: Reading, first: int | None
    ) -> int | None:
        """Take a reading; return its time, None when it was not."""
        boot, seq, ts_ms = reading.boot, reading.seq, reading.ts_ms
        if boot is None or seq is None or ts_ms is None:
            return None
        if self._bounds.tightened and self._bounds.fault(reading) is not None:
            return None
        spans, shape = known.boots.get(boot), known.shapes.get(tuple(reading.values))
        if (
            spans is None
            or shape is None
            or not max(self._earliest_ms, spans.newest_ms) <= ts_ms <= self._latest_ms
            or not spans.extend(seq, seq)
        ):
            return None
        batch.spans(known, boot, first=first)
        spans.newest_ms = ts_ms
        rows, tally = batch.points.rows, batch.entry.tallies[known.device]
        rows.shapes.append(shape)
        rows.ts_ms.append(ts_ms)
        rows.order.append(order_of(boot, seq))
        rows.values.append(tuple(reading.values.values()))
        tally.stored += 1
        tally.late += ts_ms < self._late_before_ms(known)
        return ts_ms

    def _take_table(self, batch: Batch, known: Known, table: Table) -> int | None:
        """Take all readings of a table; return the newest time, None when none was taken."""
        ts_ms, count = table.ts_ms, len(table.ts_ms)
        spans, order = known.boots.get(table.boot), order_of(table.boot, table.seq)
        if (
            spans is None
            or not max(self._earliest_ms, spans.newest_ms) <= ts_ms[0]
            or not ts_ms[-1] <= self._latest_ms
            or ts_ms != sorted(ts_ms)
            or not self._bounds.allow(len(table.metrics))
            or order & SEQ_MASK > SEQ_MASK - count
            or not known.has_begun(table.metrics)
            or not spans.extend(table.seq, table.last_seq)
        ):
            return None
        batch.spans(known, table.boot, first=table.first)
        spans.newest_ms = ts_ms[-1]
        rows, tally = batch.points.rows, batch.entry.tallies[known.device]
        rows.shapes += repeat(known.shape_of(table.metrics), count)
        rows.ts_ms += ts_ms
        rows.order += range(order, order + count)
        rows.values += zip(*table.columns, strict=True)
        tally.stored += count
        tally.late += bisect_left(ts_ms, self._late_before_ms(known))
        return ts_ms[-1]

    def _late_before_ms(self, known: Known) -> int:
        return self._received_ms - self._late_ms - (known.skew.ms or 0)
