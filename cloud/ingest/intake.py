"""From messages to a batch: whose they are, what they say, whether they were seen before."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cloud.ingest.accounts import Tally
from cloud.ingest.batch import Batch, Heard, Origin, Segment
from cloud.ingest.frames import RETAINED
from cloud.ingest.inbox import Chunk
from cloud.ingest.mappings import formats_of
from cloud.ingest.peers import Claim
from cloud.ingest.source import Source, new_boot
from cloud.ingest.spans import Spans
from cloud.ingest.sparkplug import Host
from cloud.settings import Ingest as Settings
from wire.codecs.formats import OURS, Format, Formats, Identities
from wire.codecs.json import MAX_PAYLOAD_BYTES, decode_status
from wire.codecs.packing import unpacked
from wire.errors import Malformed
from wire.ids import DeviceKey, TenantId, tenant_id
from wire.messages import Decoded, Refusal
from wire.patterns import Pattern
from wire.points import order_of
from wire.topics import Channel, parse_topic

_MS_PER_S = 1_000
_REASONS_SHOWN = 5


@dataclass(slots=True)
class Backlog:
    """Chunks to be taken; of the first one, the messages before `offset` have been."""

    chunks: deque[Chunk] = field(default_factory=deque)
    offset: int = 0


class Intake:
    """Fills batches. One thread at a time; remembers the sequences of every device heard."""

    def __init__(
        self,
        spans_of: Callable[[DeviceKey], dict[str, Spans]],
        settings: Settings,
        formats: Formats | None = None,
        host: Host | None = None,
    ) -> None:
        """Prepare to fill; `formats` is for tests, else they are what settings say.

        Raises:
            Malformed: a topic rule or a mapping file is wrong.
        """
        self._spans_of = spans_of
        self._formats = formats = formats or formats_of(settings)
        self._host = host
        self._rules = topic_rules(settings, formats)
        self._batch_readings = settings.batch_readings
        self._max_future_ms = round(settings.max_future_s * _MS_PER_S)
        self._sources: dict[bytes, Source] = {}
        self._boots: dict[DeviceKey, dict[str, Spans]] = {}

    @property
    def own_filters(self) -> list[str]:
        """Return what is subscribed to because of topic rules."""
        return [pattern.topic_filter for pattern, _ in self._rules]

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

    def learn(self, batch: Batch, claims: Iterable[Claim]) -> None:
        """Take what other ingesters have made durable. It can be called again, as `fill` can."""
        for claim in claims:
            device = claim.key()
            boots = self._boots_of(device, batch)
            spans = boots.get(claim.boot)
            if spans is None:
                spans = new_boot(boots, claim.boot)
                batch.entry.devices_with_new_boots.add(device)
            if not spans.merge(claim.spans) and claim.declared_first <= spans.declared_first:
                continue
            spans.declare_first(claim.declared_first)
            batch.tally(device, claim.heard_at_ms)
            batch.learned[spans] = (device, claim.boot)

    def _take(self, batch: Batch, chunk: Chunk, index: int) -> None:
        topic = chunk.messages.topics[index]
        source = self._sources.get(topic)
        if source is None:
            try:
                source = self._source(topic, batch)
            except (Malformed, UnicodeDecodeError) as exc:
                if self._host is not None and self._host.is_state(topic):
                    _pass_over(batch)
                    return
                _bury_foreign(batch, chunk, index, reason=f"topic refused: {exc}")
                return
        taken: Sequence[int] = ()
        if source.channel == "telemetry":
            taken = self._take_telemetry(batch, source, chunk, index)
        elif self._host is not None and source.feed is not None:
            self._host.take_death(batch, source.feed, Origin(chunk, index, source.device))
        else:
            _take_status(batch, source, chunk, index)
        batch.ends.append(len(batch.points.ts_ms))
        batch.taken.append(taken)
        batch.devices.append(source.device)

    def _take_telemetry(
        self, batch: Batch, source: Source, chunk: Chunk, index: int
    ) -> Sequence[int]:
        """Take one message; return the indexes of its readings that are to be stored."""
        origin = Origin(chunk, index, source.device)
        tally = batch.tally(source.device, chunk.received_ms)
        replay = chunk.replay
        if replay is not None:
            tally.dead -= replay.readings
            batch.entry.closed_letters.append(replay.letter_id)
        form = source.format or self._format_of(batch, source, origin)
        try:
            payload = unpacked(chunk.messages.payloads[index], max_bytes=MAX_PAYLOAD_BYTES)
            decoded = form.decode(payload)
        except Malformed as exc:
            _refuse_all(batch, source, origin, form, reason=str(exc))
            return ()
        if source.feed is None and not decoded.readings and not decoded.refused:
            tally.filtered += 1 if replay is None else replay.readings
            batch.readings += 1
        fates = tally.readings()
        taken, refused_here = self._take_readings(batch, source, origin, decoded, tally=tally)
        if chunk.reply is not None:
            chunk.reply.accepted += tally.readings() - fates
        if decoded.refused or refused_here:
            refused_here += _refused_anew(batch, source, origin, form, refused=decoded.refused)
            _bury_readings(batch, origin, refused_here, tally=tally)
        batch.readings += len(decoded.readings) + len(decoded.refused)
        return taken

    def _take_readings(
        self, batch: Batch, source: Source, origin: Origin, decoded: Decoded, *, tally: Tally
    ) -> tuple[Sequence[int], list[Refusal]]:
        """Put readings into the batch's columns.

        Returns the indexes of those taken, and those that cannot be stored. This runs for every
        value that comes in, hence its length and its local names.
        """
        chunk = origin.chunk
        now_ms, replay = chunk.received_ms, chunk.replay
        latest_ms = (replay.now_ms if replay else now_ms) + self._max_future_ms
        points, series_of = batch.points, source.series
        add_series, add_ts, add_value, add_order = (
            points.series.append,
            points.ts_ms.append,
            points.values.append,
            points.order.append,
        )
        only = None if replay is None else replay.only
        indexes, left_out, refused = _indexes(decoded), set[int](), list[Refusal]()
        for index, reading in zip(indexes, decoded.readings, strict=True):
            if only is not None and index not in only:
                left_out.add(index)
                continue
            order = reading.order
            if reading.seq is not None and reading.boot is not None:
                order = order_of(reading.boot, reading.seq)
                is_new = source.see(batch, reading.boot, seq=reading.seq, first=decoded.first)
                if not is_new and replay is None:
                    tally.duplicate += 1
                    left_out.add(index)
                    continue
            ts_ms = reading.ts_ms
            if ts_ms is None:
                if chunk.messages.flags[origin.place] & RETAINED:
                    tally.filtered += 1
                    left_out.add(index)
                    continue
                age_ms = reading.age_ms
                ts_ms = source.arrival_ms(now_ms) if age_ms is None else now_ms - age_ms
            if not 0 <= ts_ms <= latest_ms:
                refused.append(Refusal(index, _time_fault(ts_ms)))
                left_out.add(index)
                continue
            for metric, value in reading.values.items():
                add_series(series_of(metric))
                add_ts(ts_ms)
                add_value(value)
                add_order(order)
            tally.stored += 1
        if left_out:
            indexes = [index for index in indexes if index not in left_out]
        return indexes, refused

    def _format_of(self, batch: Batch, source: Source, origin: Origin) -> Format:
        if self._host is not None and source.feed is not None:
            return self._host.format_of(batch, source.feed, origin)
        content_types, index = origin.chunk.messages.content_types, origin.place
        if not content_types or index not in content_types:
            return OURS
        return self._formats.of_content_type(content_types[index])

    def _source(self, topic: bytes, batch: Batch) -> Source:
        feed = None if self._host is None else self._host.feed(topic.decode())
        if feed is None:
            device, channel, form = self._owner(topic.decode())
        else:
            device, channel, form = feed.topic.key, feed.channel, None
        boots = self._boots_of(device, batch)
        source = self._sources[topic] = Source(device, channel, boots, form=form, feed=feed)
        return source

    def _boots_of(self, device: DeviceKey, batch: Batch) -> dict[str, Spans]:
        boots = self._boots.get(device)
        if boots is None:
            boots = self._boots[device] = self._spans_of(device)
            batch.first_seen.append(device)
        return boots

    def _owner(self, topic: str) -> tuple[DeviceKey, Channel, Format | None]:
        """Return whose a topic is, what comes on it, and in which format if the topic says so."""
        for pattern, form in self._rules:
            match = pattern.match(topic)
            if match is not None:
                return match.device, "telemetry", form.for_topic(match.names)
        parsed = parse_topic(topic)
        return parsed.device, parsed.channel, None


def topic_rules(settings: Settings, formats: Formats) -> list[tuple[Pattern, Format]]:
    """Return the rules for topics that are not ours; raise `Malformed` for one that is wrong."""
    rules = []
    for rule in settings.topics:
        pattern, form = Pattern(rule.topic, _tenant(rule.tenant)), formats.named(rule.format)
        if form.check_names is not None:
            form.check_names(dict.fromkeys(pattern.names, ""))
        rules.append((pattern, form))
    return rules


def _tenant(name: str | None) -> TenantId | None:
    return None if name is None else tenant_id(name)


def _identities(form: Format, payload: bytes) -> Identities:
    try:
        return form.identities(unpacked(payload, max_bytes=MAX_PAYLOAD_BYTES))
    except Malformed:
        return {}


def _refused_anew(
    batch: Batch, source: Source, origin: Origin, form: Format, *, refused: list[Refusal]
) -> list[Refusal]:
    """Return those of the refused readings that were not refused in an earlier delivery."""
    if not refused:
        return []
    chunk, place, _ = origin
    seen_now = source.see_all(batch, _identities(form, chunk.messages.payloads[place]))
    if chunk.replay is not None:
        only = chunk.replay.only
        return [one for one in refused if only is None or one.index in only]
    anew = [one for one in refused if seen_now.get(one.index, True)]
    batch.tally(source.device, chunk.received_ms).duplicate += len(refused) - len(anew)
    return anew


def _refuse_all(batch: Batch, source: Source, origin: Origin, form: Format, *, reason: str) -> None:
    """Dead-letter a message that cannot be decoded: it counts as one reading.

    A letter that comes back stays what it was: as many dead readings, of the same indexes.
    """
    chunk, place, _ = origin
    seen_now = source.see_all(batch, _identities(form, chunk.messages.payloads[place]))
    tally = batch.tally(source.device, chunk.received_ms)
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


def _take_status(batch: Batch, source: Source, chunk: Chunk, index: int) -> None:
    """A status is no reading: it changes presence, and is dead-lettered when it is no status.

    When the broker delivers one that it has retained, nobody knows since when it holds.
    """
    if source.channel != "status":
        batch.foreign += 1
        return
    try:
        status = decode_status(chunk.messages.payloads[index])
    except Malformed as exc:
        batch.bury(Origin(chunk, index, source.device), str(exc), readings=0)
        return
    is_retained = chunk.messages.flags[index] & RETAINED
    at_ms = None if is_retained else chunk.received_ms
    batch.statuses.append(Heard(source.device, status, at_ms))


def _bury_foreign(batch: Batch, chunk: Chunk, index: int, *, reason: str) -> None:
    batch.bury(Origin(chunk, index, None), reason, readings=0)
    batch.foreign += 1
    batch.readings += 1
    _pass_over(batch)


def _pass_over(batch: Batch) -> None:
    """Take a message that holds nothing for the store."""
    batch.ends.append(len(batch.points.ts_ms))
    batch.taken.append(())
    batch.devices.append(None)


def _bury_readings(batch: Batch, origin: Origin, dead: list[Refusal], *, tally: Tally) -> None:
    if not dead:
        return
    tally.dead += len(dead)
    only = sorted(one.index for one in dead)
    batch.bury(origin, _reasons(dead), readings=len(dead), only=only)
    if origin.chunk.reply is not None:
        origin.chunk.reply.rejected.extend(dead)


def _indexes(decoded: Decoded) -> Sequence[int]:
    """Return the taken readings' indexes in their payload: refused ones stand in between."""
    if not decoded.refused:
        return range(len(decoded.readings))
    refused = {one.index for one in decoded.refused}
    total = len(decoded.readings) + len(refused)
    return [index for index in range(total) if index not in refused]


def _time_fault(ts_ms: int) -> str:
    if ts_ms > 0:
        return "ts lies in the future: check the device's clock (ts is in milliseconds)"
    return "ts lies before 1970"


def _reasons(refused: list[Refusal]) -> str:
    shown = [f"reading {one.index}: {one.reason}" for one in refused[:_REASONS_SHOWN]]
    more = len(refused) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
