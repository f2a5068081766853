"""From the readings of one message to the columns of a batch: the innermost loop of ingestion."""

from collections.abc import Sequence

import structlog

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.bounds import Bounds, SeriesLimits
from cloud.ingest.intake.recent import Recent
from cloud.ingest.ledger.known import Known
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.messages import RETAINED
from cloud.settings import Ingest as Settings
from wire.ids import DeviceKey, TenantId
from wire.messages import Decoded, Reading, Refusal
from wire.points import SEQ_MASK, Shape, order_of

_MS_PER_S = 1_000
_MAX_TOLD = 10_000
_RAISE = (
    "raise ingest.limits.max_series_per_tenant or max_series_per_device, start anew, replay the"
    " dead letters; or delete the telemetry of devices that are gone"
)

_log = structlog.get_logger()


class Taking:
    """Decides what becomes of readings: new or known, believable or not, in time or late."""

    def __init__(self, settings: Settings) -> None:
        self._late_ms = round(settings.late_after_s * _MS_PER_S)
        self._bounds = Bounds(settings)
        self._limits = SeriesLimits(settings)
        self._told_full: Recent[TenantId, bool] = Recent(_MAX_TOLD)

    def knows(self, tenant: TenantId) -> bool:
        """Return whether the tenant's series are counted."""
        return self._limits.knows(tenant)

    def begin(self, tenant: TenantId, series: int) -> None:
        """Note how many series a tenant has."""
        self._limits.begin(tenant, series)

    def forget(self, tenant: TenantId, series: int) -> None:
        """Note that a tenant has that many series less."""
        self._limits.forget(tenant, series)
        self._told_full.put(tenant, False)

    def take(  # noqa: C901, PLR0912, PLR0915 - see the docstring
        self, batch: Batch, known: Known, chunk: Chunk, place: int, decoded: Decoded
    ) -> tuple[Sequence[int], list[Refusal]]:
        """Put the readings of a message into the batch's rows.

        Returns the indexes of those taken, and those that cannot be stored. This runs for every
        reading that comes in, hence its length and its local names.
        """
        now_ms, replay, tally = chunk.received_ms, chunk.replay, batch.entry.tallies[known.device]
        bounds, late_ms, shapes = self._bounds, self._late_ms, known.shapes
        earliest_ms, latest_ms = bounds.window(now_ms, now_ms if replay is None else replay.now_ms)
        late_before_ms = now_ms - late_ms - (known.skew.ms or 0)
        rows = batch.points.rows
        indexes, readings = _asked(decoded, replay)
        left_out: set[int] = set()
        refused: list[Refusal] = []
        boot, spans, order_of_boot, newest_ms = None, None, 0, None
        clock: Spans | Known | None
        for index, reading in zip(indexes, readings, strict=True):
            order, ts_ms, clock, is_new = reading.order, reading.ts_ms, None, True
            if reading.seq is not None and reading.boot is not None:
                if spans is None or reading.boot != boot:
                    boot, order_of_boot = reading.boot, order_of(reading.boot, 0)
                    spans = batch.spans(known, boot, first=decoded.first)
                is_new = spans.add(reading.seq) or replay is not None
                order, clock = order_of_boot | (reading.seq & SEQ_MASK), spans
            elif ts_ms is not None and replay is None:
                is_new, clock = batch.is_new_moment(known, reading), known
            if not is_new:
                tally.duplicate += 1
                left_out.add(index)
                continue
            if ts_ms is None:
                if chunk.messages.flags[place] & RETAINED:
                    tally.filtered += 1
                    left_out.add(index)
                    continue
                ts_ms, clock = known.arrival_ms(now_ms, reading.age_ms), None
            fault = bounds.fault(reading) if bounds.tightened else None
            if not earliest_ms <= ts_ms <= latest_ms:
                fault = bounds.time_fault(ts_ms, now_ms)
            shape = shapes.get(tuple(reading.values))
            if shape is None and fault is None:
                shape, fault = self._shape(batch, known, reading)
            if fault is not None or shape is None:
                refused.append(Refusal(index, fault or ""))
                left_out.add(index)
                continue
            if clock is not None and replay is None:
                if ts_ms >= clock.newest_ms:
                    clock.newest_ms = newest_ms = ts_ms
                    tally.late += ts_ms < late_before_ms
                elif ts_ms < late_before_ms or ts_ms < clock.newest_ms - late_ms:
                    tally.late += 1
            rows.shapes.append(shape)
            rows.ts_ms.append(ts_ms)
            rows.values.append(tuple(reading.values.values()))
            rows.order.append(order)
            tally.stored += 1
        is_live = not chunk.messages.flags[place] & RETAINED
        if newest_ms is not None and is_live and now_ms >= known.skew.due_ms:
            known.skew.sample(now_ms, newest_ms)
        return [one for one in indexes if one not in left_out] if left_out else indexes, refused

    def _shape(
        self, batch: Batch, known: Known, reading: Reading
    ) -> tuple[Shape | None, str | None]:
        """Return a reading's shape, or why it can have none; series that are new are begun."""
        names = tuple(reading.values)
        if not known.has_begun(names):
            begun = self._limits.admit(known, names)
            if isinstance(begun, str):
                batch.series_refused += 1
                self._tell_full(known.device)
                return None, begun
            batch.entry.series += [(known.device, metric) for metric in begun]
        return known.shape_of(names), None

    def _tell_full(self, device: DeviceKey) -> None:
        """Log that there can be no more series, once a tenant; the letters name each reading."""
        if not self._told_full.get(device.tenant):
            self._told_full.put(device.tenant, True)
            _log.warning("series.refused", tenant=device.tenant, device=device.device, do=_RAISE)


def _asked(decoded: Decoded, replay: Replay | None) -> tuple[Sequence[int], Sequence[Reading]]:
    """Return the readings that are to be taken, and their indexes in their payload.

    Refused ones stand in between; of a letter only those are taken that it is about.
    """
    readings: Sequence[Reading] = decoded.readings
    if not decoded.refused and (replay is None or replay.only is None):
        return range(len(readings)), readings
    refused = {one.index for one in decoded.refused}
    indexes = [one for one in range(len(readings) + len(refused)) if one not in refused]
    if replay is None or replay.only is None:
        return indexes, readings
    only = replay.only
    pairs = [pair for pair in zip(indexes, readings, strict=True) if pair[0] in only]
    return [index for index, _ in pairs], [reading for _, reading in pairs]
