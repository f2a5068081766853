"""From messages to a batch: whose they are, what they say, whether they were seen before."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from cloud.ingest.accounts import Tally
from cloud.ingest.batch import Batch, Heard, Origin, Segment
from cloud.ingest.frames import RETAINED
from cloud.ingest.inbox import Chunk
from cloud.ingest.ledger_file import MAX_BOOTS
from cloud.ingest.spans import Spans
from cloud.settings import Ingest as Settings
from wire.codecs.json import decode_status, decode_telemetry, identities
from wire.errors import Malformed
from wire.ids import DeviceKey, MetricName, SeriesKey
from wire.messages import Decoded, Reading, Refusal
from wire.topics import Channel, parse_topic

_MS_PER_S = 1_000
_MAX_CACHED_METRICS = 10_000
_REASONS_SHOWN = 5


class Source:
    """One channel of one device: what is known of it between its messages."""

    __slots__ = ("_series", "boots", "channel", "device", "last_arrival_ms")

    def __init__(self, device: DeviceKey, channel: Channel, boots: dict[str, Spans]) -> None:
        self.device = device
        self.channel = channel
        self.boots = boots
        self.last_arrival_ms = 0
        self._series: dict[MetricName, SeriesKey] = {}

    def series(self, metric: MetricName) -> SeriesKey:
        """Return the key of one of the device's series, the same object each time."""
        key = self._series.get(metric)
        if key is None:
            key = SeriesKey(self.device.tenant, self.device.device, metric)
            if len(self._series) < _MAX_CACHED_METRICS:
                self._series[metric] = key
        return key

    def arrival_ms(self, now_ms: int) -> int:
        """Return a time of arrival that this device has not used: equal times overwrite."""
        self.last_arrival_ms = max(now_ms, self.last_arrival_ms + 1)
        return self.last_arrival_ms


@dataclass(slots=True)
class Backlog:
    """Chunks to be taken; of the first one, the messages before `offset` have been."""

    chunks: deque[Chunk] = field(default_factory=deque)
    offset: int = 0


class Intake:
    """Fills batches. One thread at a time; remembers the sequences of every device heard."""

    def __init__(
        self, spans_of: Callable[[DeviceKey], dict[str, Spans]], settings: Settings
    ) -> None:
        self._spans_of = spans_of
        self._batch_readings = settings.batch_readings
        self._max_future_ms = round(settings.max_future_s * _MS_PER_S)
        self._sources: dict[bytes, Source] = {}
        self._boots: dict[DeviceKey, dict[str, Spans]] = {}

    def fill(self, batch: Batch, backlog: Backlog) -> None:
        """Move messages from the backlog into the batch until it is full or they are used up.

        When the ledger is away and raises, it can be called again: the backlog keeps its place.
        """
        chunks, limit = backlog.chunks, self._batch_readings
        while chunks and batch.readings < limit:
            chunk, start = chunks[0], backlog.offset
            try:
                while backlog.offset < len(chunk) and batch.readings < limit:
                    self._take(batch, chunk, backlog.offset)
                    backlog.offset += 1
            finally:
                if backlog.offset > start:
                    batch.segments.append(Segment(chunk, start, backlog.offset))
            if backlog.offset == len(chunk):
                chunks.popleft()
                backlog.offset = 0

    def _take(self, batch: Batch, chunk: Chunk, index: int) -> None:
        topic = chunk.messages.topics[index]
        source = self._sources.get(topic)
        if source is None:
            try:
                source = self._source(topic, batch)
            except (Malformed, UnicodeDecodeError) as exc:
                _bury_foreign(batch, chunk, index, reason=f"topic refused: {exc}")
                return
        taken = 0
        if source.channel == "telemetry":
            taken = self._take_telemetry(batch, source, chunk, index)
        else:
            _take_status(batch, source, chunk, index)
        batch.ends.append(len(batch.points.ts_ms))
        batch.taken.append(taken)
        batch.devices.append(source.device)

    def _take_telemetry(self, batch: Batch, source: Source, chunk: Chunk, index: int) -> int:
        """Take one message; return how many of its readings are to be stored."""
        origin = Origin(chunk, index, source.device)
        tally = batch.tally(source.device, chunk.received_ms)
        replay = chunk.replay
        if replay is not None:
            tally.dead -= replay.readings
            batch.entry.closed_letters.append(replay.letter_id)
        try:
            decoded = decode_telemetry(chunk.messages.payloads[index])
        except Malformed as exc:
            self._refuse_all(batch, source, origin, reason=str(exc))
            return 0
        stored, fates = tally.stored, tally.readings()
        refused_here = self._take_readings(batch, source, origin, decoded, tally=tally)
        if chunk.reply is not None:
            chunk.reply.accepted += tally.readings() - fates
        if decoded.refused or refused_here:
            refused_here += self._refused_anew(batch, source, origin, decoded.refused)
            _bury_readings(batch, origin, refused_here, tally=tally)
        batch.readings += len(decoded.readings) + len(decoded.refused)
        return tally.stored - stored

    def _take_readings(
        self, batch: Batch, source: Source, origin: Origin, decoded: Decoded, *, tally: Tally
    ) -> list[Refusal]:
        """Put readings into the batch's columns; return those that cannot be stored.

        This runs for every value that comes in, hence its length and its local names.
        """
        chunk = origin.chunk
        now_ms, replay = chunk.received_ms, chunk.replay
        latest_ms = (replay.now_ms if replay else now_ms) + self._max_future_ms
        points, series_of = batch.points, source.series
        add_series, add_ts, add_value = (
            points.series.append,
            points.ts_ms.append,
            points.values.append,
        )
        refused: list[Refusal] = []
        for position, reading in enumerate(decoded.readings):
            if replay is not None and not _is_replayed(replay.only, decoded, position):
                continue
            if reading.seq is not None and reading.boot is not None:
                is_new = self._see(
                    batch, source, reading.boot, seq=reading.seq, first=decoded.first
                )
                if not is_new and replay is None:
                    tally.duplicate += 1
                    continue
            ts_ms = reading.ts_ms
            if ts_ms is None:
                if chunk.messages.flags[origin.place] & RETAINED:
                    tally.filtered += 1
                    continue
                ts_ms = source.arrival_ms(now_ms)
            elif not 0 <= ts_ms <= latest_ms:
                refused.append(Refusal(_index_of(decoded, position), _time_fault(reading)))
                continue
            for metric, value in reading.values.items():
                add_series(series_of(metric))
                add_ts(ts_ms)
                add_value(value)
            tally.stored += 1
        return refused

    def _see(self, batch: Batch, source: Source, boot: str, *, seq: int, first: int | None) -> bool:
        """Mark a sequence as seen; return False when it was already."""
        spans = source.boots.get(boot)
        if spans is None:
            spans = _new_boot(source.boots, boot)
            batch.entry.devices_with_new_boots.add(source.device)
        if first is not None:
            spans.declare_first(first)
        batch.touched[spans] = (source.device, boot)
        return spans.add(seq)

    def _refused_anew(
        self, batch: Batch, source: Source, origin: Origin, refused: list[Refusal]
    ) -> list[Refusal]:
        """Return those of the refused readings that were not refused in an earlier delivery."""
        if not refused:
            return []
        chunk, index, _ = origin
        seen_now = self._see_all(batch, source, chunk.messages.payloads[index])
        if chunk.replay is not None:
            only = chunk.replay.only
            return [one for one in refused if only is None or one.index in only]
        anew = [one for one in refused if seen_now.get(one.index, True)]
        batch.tally(source.device, chunk.received_ms).duplicate += len(refused) - len(anew)
        return anew

    def _refuse_all(self, batch: Batch, source: Source, origin: Origin, *, reason: str) -> None:
        """Dead-letter a message that cannot be decoded: it counts as one reading."""
        chunk, index, _ = origin
        seen_now = self._see_all(batch, source, chunk.messages.payloads[index])
        tally = batch.tally(source.device, chunk.received_ms)
        batch.readings += 1
        if chunk.reply is not None:
            chunk.reply.malformed = reason
        if chunk.replay is None and seen_now and not any(seen_now.values()):
            tally.duplicate += 1
            return
        tally.dead += 1
        batch.bury(origin, reason, readings=1)

    def _see_all(self, batch: Batch, source: Source, payload: bytes) -> dict[int, bool]:
        """Mark what a faulty payload's readings are called; return index → whether it was new.

        Readings of it that were taken are not new by now, which nobody asks.
        """
        return {
            index: self._see(batch, source, boot, seq=seq, first=None)
            for index, (boot, seq) in identities(payload).items()
        }

    def _source(self, topic: bytes, batch: Batch) -> Source:
        parsed = parse_topic(topic.decode())
        boots = self._boots.get(parsed.device)
        if boots is None:
            boots = self._boots[parsed.device] = self._spans_of(parsed.device)
            batch.first_seen.append(parsed.device)
        source = Source(parsed.device, parsed.channel, boots)
        self._sources[topic] = source
        return source


def _new_boot(boots: dict[str, Spans], boot: str) -> Spans:
    while len(boots) >= MAX_BOOTS:
        del boots[next(iter(boots))]
    spans = boots[boot] = Spans()
    return spans


def _take_status(batch: Batch, source: Source, chunk: Chunk, index: int) -> None:
    """A status is no reading: it changes presence, and is dead-lettered when it is no status."""
    if source.channel != "status":
        return
    try:
        status = decode_status(chunk.messages.payloads[index])
    except Malformed as exc:
        batch.bury(Origin(chunk, index, source.device), str(exc), readings=0)
        return
    batch.statuses.append(Heard(source.device, status, chunk.received_ms))


def _bury_foreign(batch: Batch, chunk: Chunk, index: int, *, reason: str) -> None:
    batch.bury(Origin(chunk, index, None), reason, readings=0)
    batch.ends.append(len(batch.points.ts_ms))
    batch.taken.append(0)
    batch.devices.append(None)
    batch.readings += 1


def _bury_readings(batch: Batch, origin: Origin, dead: list[Refusal], *, tally: Tally) -> None:
    if not dead:
        return
    tally.dead += len(dead)
    only = sorted(one.index for one in dead)
    batch.bury(origin, _reasons(dead), readings=len(dead), only=only)
    if origin.chunk.reply is not None:
        origin.chunk.reply.rejected.extend(dead)


def _is_replayed(only: frozenset[int] | None, decoded: Decoded, position: int) -> bool:
    return only is None or _index_of(decoded, position) in only


def _index_of(decoded: Decoded, position: int) -> int:
    """Return a taken reading's index in its payload: refused ones stand in between."""
    index = position
    for refusal in decoded.refused:
        if refusal.index <= index:
            index += 1
    return index


def _time_fault(reading: Reading) -> str:
    if reading.ts_ms is not None and reading.ts_ms > 0:
        return "ts lies in the future: check the device's clock (ts is in milliseconds)"
    return "ts lies before 1970"


def _reasons(refused: list[Refusal]) -> str:
    shown = [f"reading {one.index}: {one.reason}" for one in refused[:_REASONS_SHOWN]]
    more = len(refused) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
