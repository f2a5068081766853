"""A batch on its way: columns for the store, and what the ledger and the senders are told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cloud.ingest.inbox import Chunk
from cloud.ingest.ledger.accounts import (
    APPENDED,
    BootRow,
    Entry,
    Gap,
    Holes,
    KeptOutcome,
    NewLetter,
    Tally,
)
from cloud.ingest.ledger.known import Known
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceKey
from wire.messages import Reading, Refusal, Status
from wire.points import PointBatch, Rows, StoredBatch
from wire.sparkplug.session import Session
from wire.sparkplug.topics import Node

MAX_LETTER_PAYLOAD_BYTES = 1024 * 1024
_SHORTENED_BYTES = 1_024


class Segment(NamedTuple):
    """The messages `start` to `stop` (not included) of a chunk, which are part of a batch."""

    chunk: Chunk
    start: int
    stop: int


class Reach(NamedTuple):
    """Up to which sequence every reading of a boot has its fate."""

    device: DeviceKey
    boot: str
    seq: int


class Heard(NamedTuple):
    """A status message; `at_ms` None: retained by the broker, nobody knows since when."""

    device: DeviceKey
    status: Status
    at_ms: int | None


class Origin(NamedTuple):
    """One message of a chunk, and whose it is."""

    chunk: Chunk
    place: int
    device: DeviceKey | None


@dataclass(slots=True)
class Batch:
    """Messages in order of receipt.

    `ends[i]` is the number of readings to be stored up to and including message i, `taken[i]`
    their indexes in its payload, `devices[i]` whose it is. `foreign` messages came on
    topics that are nobody's. `touched` are the boots of its own readings, `learned` those of which
    another ingester has told; `own_rows` are the rows of the former, once it is sealed. `known` is
    what the batch changes of what is known of devices.
    """

    points: PointBatch = field(default_factory=PointBatch)
    ends: list[int] = field(default_factory=list)
    taken: list[Sequence[int]] = field(default_factory=list)
    devices: list[DeviceKey | None] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    touched: dict[Spans, tuple[DeviceKey, str]] = field(default_factory=dict)
    learned: dict[Spans, tuple[DeviceKey, str]] = field(default_factory=dict)
    own_rows: list[BootRow] = field(default_factory=list)
    statuses: list[Heard] = field(default_factory=list)
    sessions: dict[Node, Session] = field(default_factory=dict)
    first_seen: list[DeviceKey] = field(default_factory=list)
    entry: Entry = field(default_factory=Entry)
    reached: list[Reach] = field(default_factory=list)
    known: dict[DeviceKey, Known] = field(default_factory=dict)
    messages: int = 0
    readings: int = 0
    foreign: int = 0
    series_refused: int = 0
    began_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to be made durable."""
        return not (self.segments or self.learned)

    def tally(self, known: Known, at_ms: int) -> Tally:
        """Return the device's tally, begun when this batch has none of it yet."""
        tally = self.entry.tallies.get(known.device)
        if tally is None:
            tally = self.entry.tallies[known.device] = Tally()
            self.known[known.device] = known
        tally.heard_at_ms = max(tally.heard_at_ms, at_ms)
        return tally

    def spans(self, known: Known, boot: str, *, first: int | None) -> Spans:
        """Return the sequences seen of a boot, which the batch is about to change."""
        spans = known.boots.get(boot)
        if spans is None:
            spans = known.new_boot(boot)
            self.entry.devices_with_new_boots.add(known.device)
        if first is not None:
            spans.declare_first(first)
        self.touched[spans] = (known.device, boot)
        return spans

    def see_all(self, known: Known, identities: dict[int, tuple[str, int]]) -> dict[int, bool]:
        """Mark what a faulty payload's readings are called; return index → whether it was new.

        Readings of it that were taken are not new by now, which nobody asks.
        """
        return {
            index: self.spans(known, boot, first=None).add(seq)
            for index, (boot, seq) in identities.items()
        }

    def is_new_moment(self, known: Known, reading: Reading) -> bool:
        """Note a reading that has a time but no sequence; return False when it was seen before."""
        moment = known.moments.add(reading)
        if moment is None:
            return False
        self.entry.moments.append((known.device, *moment))
        return True

    def bury(
        self,
        origin: Origin,
        reason: str,
        *,
        readings: int,
        only: list[int] | None = None,
    ) -> None:
        """Write a dead letter for a message or some of its readings; its tally is not touched."""
        messages = origin.chunk.messages
        payload = messages.payloads[origin.place]
        is_shortened = len(payload) > MAX_LETTER_PAYLOAD_BYTES
        if is_shortened:
            reason = f"{reason}; only its first {_SHORTENED_BYTES} bytes are kept"
            payload = payload[:_SHORTENED_BYTES]
        topic = messages.topics[origin.place].decode(errors="replace")
        at_ms = origin.chunk.received_ms
        letter = NewLetter(
            origin.device,
            topic,
            reason,
            payload,
            readings,
            at_ms,
            only,
            is_shortened,
            messages.content_types.get(origin.place),
        )
        self.entry.letters.append(letter)

    def seal(self) -> None:
        """Note how sequences and clocks stand now: later batches go on changing them."""
        for known in self.known.values():
            tally = self.entry.tallies[known.device]
            tally.newest_ms, tally.skew_ms = known.newest_ms, known.skew.ms
        for spans, (device, boot) in {**self.learned, **self.touched}.items():
            tally = self.entry.tallies[device]
            if spans.opened:
                spans.opened = False
                hole = spans.last_hole()
                if hole is not None:
                    tally.gap = Gap(boot, *hole, tally.heard_at_ms)
            row = _boot_row(device, boot, spans, at_ms=tally.heard_at_ms)
            self.entry.boots.append(row)
            if spans in self.touched:
                self.own_rows.append(row)
            self.entry.missing += row.holes.missing - spans.told[0]
            self.entry.declared += row.holes.declared - spans.told[1]
            spans.told = row.holes
            reach = spans.reach()
            if reach:
                self.reached.append(Reach(device, boot, reach))
        self.entry.sessions = [session.saved() for session in self.sessions.values()]

    def part(self, first: int, last: int) -> Rows:
        """Return the readings of the messages `first` to `last` (not included)."""
        rows = self.points.rows
        return rows.part(self.ends[first - 1] if first else 0, self.ends[last - 1])

    def reject(self, rejected: dict[int, str]) -> None:
        """Make dead what the store refused (message → reason); only the rest stays in `points`."""
        for index, reason in rejected.items():
            origin = self._origin(index)
            if origin.device is None:
                continue
            taken = self.taken[index]
            tally = self.entry.tallies[origin.device]
            tally.stored -= len(taken)
            tally.dead += len(taken)
            self.bury(origin, reason, readings=len(taken), only=list(taken))
            reply = origin.chunk.reply
            if reply is not None:
                reply.accepted -= len(taken)
                reply.rejected.extend(Refusal(one, reason) for one in taken)
        if rejected:
            self.points = self._points_without(rejected)

    def spool(self, record_id: int) -> None:
        """Note that what was to be stored lies in a record of the spool: as good as stored."""
        for tally in self.entry.tallies.values():
            tally.spooled, tally.stored = tally.stored, 0
        self.entry.facts[APPENDED] = str(record_id)
        self.keep_outcomes()

    def keep_outcomes(self) -> None:
        """Note what is answered to requests that may be repeated; nothing changes it any more."""
        for chunk, _, _ in self.segments:
            reply = chunk.reply
            if reply is not None and reply.request is not None:
                kept = KeptOutcome(reply.request, reply.outcome(), chunk.received_ms)
                self.entry.outcomes.append(kept)

    def stored(self) -> StoredBatch:
        """Return what the taps are told."""
        heard = {device: tally.heard_at_ms for device, tally in self.entry.tallies.items()}
        return StoredBatch(self.points, heard)

    def size_bytes(self) -> int:
        """Return what the batch's messages hold of the inbox."""
        return sum(chunk.messages.size_bytes(start, stop) for chunk, start, stop in self.segments)

    def mids(self) -> Iterator[tuple[int, list[bytes]]]:
        """Return (generation, message ids) to acknowledge, in order of receipt."""
        for chunk, start, stop in self.segments:
            if chunk.generation:
                yield chunk.generation, chunk.messages.mids[start:stop]

    def _origin(self, index: int) -> Origin:
        at = 0
        for chunk, start, stop in self.segments:
            device = self.devices[index]
            if index < at + stop - start:
                return Origin(chunk, start + index - at, device)
            at += stop - start
        raise IndexError(index)

    def _points_without(self, rejected: dict[int, str]) -> PointBatch:
        kept = Rows()
        for index in range(len(self.ends)):
            if index not in rejected:
                kept.extend(self.part(index, index + 1))
        return PointBatch.of(kept)


def _boot_row(device: DeviceKey, boot: str, spans: Spans, *, at_ms: int) -> BootRow:
    return BootRow(
        device,
        boot,
        spans.intervals(),
        spans.declared_first,
        spans.forgotten,
        at_ms,
        spans.closed,
        spans.newest_ms,
        Holes(*spans.holes()),
    )
