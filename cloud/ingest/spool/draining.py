"""What is drained at a time, and what the ledger is told of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud.ingest.ledger.accounts import DRAINED, Entry, NewLetter, Tally
from cloud.ingest.spool.contents import Census, Contents
from wire.ids import DeviceKey
from wire.points import PointBatch, Rows
from wire.topics import topic


@dataclass(slots=True)
class Drain:
    """Records taken together: their points, and where each message's readings end."""

    contents: Sequence[Contents]
    points: PointBatch = field(init=False)
    ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Join the columns."""
        rows, ends = Rows(), list[int]()
        for part in self.contents:
            ends += [len(rows) + end for end in part.ends()]
            rows.extend(part.points().rows)
        self.points, self.ends = PointBatch.of(rows), ends

    def entry(self, rejected: dict[int, str], *, last_id: int) -> Entry:
        """Return what the ledger is told: what was spooled is stored now, or dead (`rejected`)."""
        entry, number = Entry(facts={DRAINED: str(last_id)}), 0
        for part in self.contents:
            for index, message in enumerate(part.messages):
                readings, reason = len(message.taken), rejected.get(number)
                tally = entry.tallies.setdefault(part.device(index), Tally())
                tally.spooled -= readings
                if reason is None:
                    tally.stored += readings
                else:
                    tally.dead += readings
                    entry.letters.append(part.letter(index, reason))
                number += 1
        return entry


def reconciled(expected: Census, there: Census, *, now_ms: int) -> Entry:
    """Return what makes the ledger right again: what is `there` is spooled, the rest is dead.

    More than was expected is there when the ledger is older than the spool: it was made anew,
    and hears of the device now.
    """
    entry = Entry()
    for device in expected.keys() | there.keys():
        lost = expected.get(device, 0) - there.get(device, 0)
        if lost:
            tally = Tally(spooled=-lost, dead=max(lost, 0), heard_at_ms=0 if lost > 0 else now_ms)
            entry.tallies[device] = tally
        if lost > 0:
            entry.letters.append(_lost(device, lost, now_ms))
    return entry


def _lost(device: DeviceKey, readings: int, now_ms: int) -> NewLetter:
    """Return the letter of readings that are gone: it has no payload, so it is no replay."""
    reason = (
        "lost: acknowledged, and waiting on disk for the store, but their file in the spool is"
        " damaged or gone; what is left of it is kept there as *.corrupt"
    )
    name = topic(device, "telemetry")
    return NewLetter(device, name, reason, b"", readings, now_ms, is_shortened=True)
