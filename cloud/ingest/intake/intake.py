"""From messages to a batch: whose they are, what they say, whether they were seen before."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cloud.ingest.batch import Batch, Heard, Origin, Segment
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.devices import MEMORY, Devices, Memory, Past
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
from cloud.ingest.intake.rules import TopicRules
from cloud.ingest.intake.source import Source
from cloud.ingest.intake.sparkplug import Host
from cloud.ingest.intake.taking import Taking
from cloud.ingest.ledger.known import Known
from cloud.ingest.messages import RETAINED
from cloud.ingest.sharing.peers import Claim
from cloud.settings import Ingest as Settings
from wire.codecs.formats import OURS, Format, Formats
from wire.codecs.json import decode_status
from wire.codecs.packing import unpacked
from wire.errors import Malformed
from wire.ids import TenantId
from wire.messages import Decoded, Table

_BATCHES_UNDER_WAY = 4


@dataclass(slots=True)
class Backlog:
    """Chunks to be taken; of the first one, the messages before `offset` have been."""

    chunks: deque[Chunk] = field(default_factory=deque)
    offset: int = 0


class Intake:
    """Fills batches. One thread at a time.

    It remembers the devices heard last (`intake.devices`); the others are read from the ledger
    again when they are heard.
    """

    def __init__(
        self,
        past: Past,
        settings: Settings,
        formats: Formats | None = None,
        host: Host | None = None,
        memory: Memory = MEMORY,
    ) -> None:
        """Prepare to fill; `formats` is for tests, else they are what settings say.

        Raises:
            Malformed: a topic rule or a mapping file is wrong.
        """
        self._formats = formats = formats or formats_of(settings)
        self._host = host
        self._rules = TopicRules(settings, formats)
        self._batch_readings = settings.batch_readings
        # One is filled, one stored, one accounted for, and the broker has yet to hear of a fourth.
        self._batch_messages = max(1, settings.queue_messages // _BATCHES_UNDER_WAY)
        self._max_payload_bytes = settings.limits.max_payload_bytes
        self._max_readings = settings.limits.max_readings
        self._plain, self._taking = Plain(settings), Taking(settings)
        self._sources: Recent[bytes, Source] = Recent(memory.topics)
        self._devices = Devices(past, self._taking, memory)

    @property
    def own_filters(self) -> list[str]:
        """Return what is subscribed to because of topic rules."""
        return self._rules.filters

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
        self._devices.learn(batch, claims)

    def forget(self, tenant: str, device: str | None, *, series: int) -> None:
        """Forget the series of a device, or of all of a tenant: `series` the ledger has forgotten.

        They begin again when they are heard again.
        """
        self._taking.forget(TenantId(tenant), series)
        self._devices.forget_series(tenant, device)

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
        taken, refused = self._taking.take(batch, known, chunk, index, decoded)
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
            device, channel, form = self._rules.owner(topic.decode())
        else:
            device, channel, form = feed.topic.key, feed.channel, None
        source = Source(self._devices.known(device, batch), channel, form=form, feed=feed)
        self._sources.put(topic, source)
        return source


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
