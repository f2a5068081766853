"""From messages to a batch: whose they are, what they say, whether they were seen before."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from cloud.ingest.batch import Batch, Heard, Origin, Segment
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.mappings import formats_of
from cloud.ingest.intake.plain import Plain
from cloud.ingest.intake.recent import Recent
from cloud.ingest.intake.refusals import (
    bury_foreign,
    bury_readings,
    pass_over,
    refuse_all,
    refused_anew,
)
from cloud.ingest.intake.source import Source
from cloud.ingest.intake.sparkplug import Host
from cloud.ingest.intake.taking import Taking
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.known import Known
from cloud.ingest.messages import RETAINED
from cloud.ingest.sharing.peers import Claim
from cloud.settings import Ingest as Settings
from wire.codecs.formats import OURS, Format, Formats
from wire.codecs.json import decode_status
from wire.codecs.packing import unpacked
from wire.errors import Malformed
from wire.ids import DeviceKey, TenantId, tenant_id
from wire.messages import Decoded, Table
from wire.patterns import Pattern
from wire.topics import Channel, parse_topic

_MAX_TOLD = 10_000
_RAISE = (
    "raise ingest.limits.max_series_per_tenant or max_series_per_device, start anew, replay the"
    " dead letters; or delete the telemetry of devices that are gone"
)

_log = structlog.get_logger()

_BATCHES_UNDER_WAY = 4


class Past(Protocol):
    """What was known before the start, or before it was forgotten (`cloud.ingest.ledger.ledger`).

    Both calls block, and raise `LedgerAway` when they cannot be answered now.
    """

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what is known of a device; nothing when it was never heard."""
        ...

    def series_of(self, tenant: TenantId) -> int:
        """Return how many series a tenant has."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """How many are remembered between batches; the ledger is asked for the others again."""

    devices: int = 200_000
    topics: int = 200_000


@dataclass(slots=True)
class Backlog:
    """Chunks to be taken; of the first one, the messages before `offset` have been."""

    chunks: deque[Chunk] = field(default_factory=deque)
    offset: int = 0


class Intake:
    """Fills batches. One thread at a time.

    It remembers the devices heard last, `Memory.devices` of them and those in batches that are not
    committed; the others are read from the ledger again when they are heard.
    """

    def __init__(
        self,
        past: Past,
        settings: Settings,
        formats: Formats | None = None,
        host: Host | None = None,
        memory: Memory = Memory(),
    ) -> None:
        """Prepare to fill; `formats` is for tests, else they are what settings say.

        Raises:
            Malformed: a topic rule or a mapping file is wrong.
        """
        self._past = past
        self._formats = formats = formats or formats_of(settings)
        self._host = host
        self._rules = topic_rules(settings, formats)
        self._batch_readings = settings.batch_readings
        # One is filled, one stored, one accounted for, and the broker has yet to hear of a fourth.
        self._batch_messages = max(1, settings.queue_messages // _BATCHES_UNDER_WAY)
        self._max_payload_bytes = settings.limits.max_payload_bytes
        self._max_readings = settings.limits.max_readings
        self._plain, self._taking = Plain(settings), Taking(settings)
        self._sources: Recent[bytes, Source] = Recent(memory.topics)
        self._devices: Recent[DeviceKey, Known] = Recent(memory.devices)
        self._told_full: Recent[TenantId, bool] = Recent(_MAX_TOLD)
        # Who was forgotten while a batch that is not committed holds on to it.
        self._alive: WeakValueDictionary[DeviceKey, Known] = WeakValueDictionary()

    @property
    def own_filters(self) -> list[str]:
        """Return what is subscribed to because of topic rules."""
        return [pattern.topic_filter for pattern, _ in self._rules]

    def fill(self, batch: Batch, backlog: Backlog) -> None:
        """Move messages from the backlog into the batch until it is full or they are used up.

        When the ledger is away and raises, it can be called again: the backlog keeps its place.
        """
        chunks, limit = backlog.chunks, self._batch_readings
        while chunks and not self.is_full(batch):
            chunk, start = chunks[0], backlog.offset
            stop = min(len(chunk), start + self._batch_messages - batch.messages)
            try:
                while backlog.offset < stop and batch.readings < limit:
                    self._take(batch, chunk, backlog.offset)
                    backlog.offset += 1
            finally:
                if backlog.offset > start:
                    batch.messages += backlog.offset - start
                    batch.segments.append(Segment(chunk, start, backlog.offset))
            if backlog.offset == len(chunk):
                chunks.popleft()
                backlog.offset = 0

    def is_full(self, batch: Batch) -> bool:
        """Return whether a batch takes no more messages."""
        return batch.readings >= self._batch_readings or batch.messages >= self._batch_messages

    def learn(self, batch: Batch, claims: Iterable[Claim]) -> None:
        """Take what other ingesters have made durable. It can be called again, as `fill` can."""
        for claim in claims:
            known = self._known(claim.key(), batch)
            spans = known.boots.get(claim.boot)
            if spans is None:
                spans = known.new_boot(claim.boot)
                batch.entry.devices_with_new_boots.add(known.device)
            if not spans.merge(claim.spans) and claim.declared_first <= spans.declared_first:
                continue
            spans.declare_first(claim.declared_first)
            batch.tally(known, claim.heard_at_ms)
            batch.learned[spans] = (known.device, claim.boot)

    def forget(self, tenant: str, device: str | None, *, series: int) -> None:
        """Forget the series of a device, or of all of a tenant: `series` the ledger has forgotten.

        They begin again when they are heard again.
        """
        self._taking.forget(TenantId(tenant), series)
        self._told_full.put(TenantId(tenant), False)
        for known in list(self._alive.values()):
            if known.device.tenant == tenant and device in (None, known.device.device):
                known.forget_series()

    def _take(self, batch: Batch, chunk: Chunk, index: int) -> None:
        topic = chunk.messages.topics[index]
        source = self._sources.young.get(topic) or self._sources.get(topic)
        if source is None:
            try:
                source = self._source(topic, batch)
            except (Malformed, UnicodeDecodeError) as exc:
                if self._host is not None and self._host.is_state(topic):
                    pass_over(batch)
                    return
                bury_foreign(batch, chunk, index, reason=f"topic refused: {exc}")
                return
        if chunk.replay is not None and not _is_taken_back(chunk.replay, source):
            reason = "the topic is another device's or channel's now"
            bury_foreign(batch, chunk, index, reason=reason)
            return
        taken: Sequence[int] = ()
        if source.channel == "telemetry":
            taken = self._take_telemetry(batch, source, chunk, index)
        elif self._host is not None and source.feed is not None:
            self._host.take_death(batch, source.feed, Origin(chunk, index, source.device))
        else:
            _take_status(batch, source, chunk, index)
        batch.ends.append(len(batch.points.rows.ts_ms))
        batch.taken.append(taken)
        batch.devices.append(source.device)

    def _take_telemetry(
        self, batch: Batch, source: Source, chunk: Chunk, index: int
    ) -> Sequence[int]:
        """Take one message; return the indexes of its readings that are to be stored."""
        known, replay = source.known, chunk.replay
        tally = batch.tally(known, chunk.received_ms)
        if replay is not None:
            tally.dead -= replay.readings
            batch.entry.closed_letters.append(replay.letter_id)
        form = source.format or self._format_of(batch, source, chunk, index)
        try:
            decoded = self._decoded(chunk.messages.payloads[index], form)
        except Malformed as exc:
            origin = Origin(chunk, index, source.device)
            seen_now = self._seen_now(batch, origin, known, form)
            refuse_all(batch, origin, str(exc), seen_now=seen_now, tally=tally)
            return ()
        if self._plain.take(batch, known, chunk, index, decoded):
            return _all_taken(batch, chunk, decoded.size())
        decoded = decoded.by_reading()
        fates = tally.readings()
        if source.feed is None and not decoded.readings and not decoded.refused:
            tally.filtered += replay is None
            batch.readings += 1
        series_refused = batch.series_refused
        taken, refused = self._taking.take(batch, known, chunk, index, decoded)
        self._tell_full(known.device, batch.series_refused - series_refused)
        if chunk.reply is not None:
            chunk.reply.accepted += tally.readings() - fates
        if decoded.refused or refused:
            origin = Origin(chunk, index, source.device)
            if decoded.refused:
                seen_now = self._seen_now(batch, origin, known, form)
                refused += refused_anew(origin, decoded.refused, seen_now=seen_now, tally=tally)
            bury_readings(batch, origin, refused, tally=tally)
        if replay is not None:
            # A payload that is read differently by now must not make readings vanish.
            tally.filtered += max(0, replay.readings - (tally.readings() - fates))
        batch.readings += len(decoded.readings) + len(decoded.refused)
        return taken

    def _tell_full(self, device: DeviceKey, refused: int) -> None:
        """Log that there can be no more series, once a tenant; the letters name each reading."""
        if not refused or self._told_full.get(device.tenant):
            return
        self._told_full.put(device.tenant, True)
        _log.warning("series.refused", tenant=device.tenant, device=device.device, do=_RAISE)

    def _decoded(self, packed: bytes, form: Format) -> Decoded | Table:
        """Return what a payload says; raise `Malformed`."""
        limit = self._max_payload_bytes
        if len(packed) > limit:
            raise Malformed(f"payload is larger than {limit} bytes")
        decoded = form.decode(unpacked(packed, max_bytes=limit))
        if decoded.size() > self._max_readings:
            raise Malformed(f"payload has more than {self._max_readings} readings")
        return decoded

    def _seen_now(
        self, batch: Batch, origin: Origin, known: Known, form: Format
    ) -> dict[int, bool]:
        """Mark what a faulty payload's readings are called; return index → whether it was new.

        One that is too large shows none: reading it is what the limit forbids.
        """
        packed, limit = origin.chunk.messages.payloads[origin.place], self._max_payload_bytes
        if len(packed) > limit:
            return {}
        try:
            identities = form.identities(unpacked(packed, max_bytes=limit))
        except Malformed:
            return {}
        return batch.see_all(known, identities)

    def _format_of(self, batch: Batch, source: Source, chunk: Chunk, index: int) -> Format:
        if self._host is not None and source.feed is not None:
            origin = Origin(chunk, index, source.device)
            return self._host.format_of(batch, source.feed, origin)
        content_types = chunk.messages.content_types
        if not content_types or index not in content_types:
            return OURS
        return self._formats.of_content_type(content_types[index])

    def _source(self, topic: bytes, batch: Batch) -> Source:
        feed = None if self._host is None else self._host.feed(topic.decode())
        if feed is None:
            device, channel, form = self._owner(topic.decode())
        else:
            device, channel, form = feed.topic.key, feed.channel, None
        source = Source(self._known(device, batch), channel, form=form, feed=feed)
        self._sources.put(topic, source)
        return source

    def _known(self, device: DeviceKey, batch: Batch) -> Known:
        known = self._devices.get(device)
        if known is not None:
            return known
        known = self._alive.get(device)
        if known is None:
            if not self._taking.knows(device.tenant):
                self._taking.begin(device.tenant, self._past.series_of(device.tenant))
            known = self._alive[device] = Known(device, self._past.recall(device))
            batch.first_seen.append(device)
        self._devices.put(device, known)
        return known

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


def _is_taken_back(replay: Replay, source: Source) -> bool:
    """Return whether a letter still comes from the device on whose account it is."""
    return source.channel == "telemetry" and replay.device in (None, source.device)


def _all_taken(batch: Batch, chunk: Chunk, readings: int) -> Sequence[int]:
    """Count a message of which every reading is to be stored; return their indexes."""
    batch.readings += readings
    if chunk.reply is not None:
        chunk.reply.accepted += readings
    return range(readings)


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
