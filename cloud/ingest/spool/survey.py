"""What an earlier process left in the spool's folder, judged by what the ledger knows.

The ledger says up to which record everything was committed (and so may have been acknowledged),
and up to which it was drained. A record behind the committed ones was never acknowledged: it is
cut off, as a torn end is. What is missing of the committed ones is a loss.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cloud.ingest.spool.contents import Census, Unreadable, unpacked_census
from cloud.ingest.spool.segment import SUFFIX, Found, Gap, Segment

_OURS = re.compile(r"\d{20}-[0-9a-f]{32}" + re.escape(SUFFIX))


class Known(NamedTuple):
    """What the ledger knows: the last records committed and drained.

    `appended` None: it has never heard of a spool, so whatever lies there is newer than it.
    """

    appended: int | None = None
    drained: int = 0


@dataclass(slots=True)
class Counted:
    """Records of some kind, counted; `first` is where the first of them lies."""

    records: int = 0
    readings: int = 0
    census: Census = field(default_factory=dict)
    last_id: int = 0
    first: tuple[Segment, int] | None = None

    def add(self, segment: Segment, found: Found, census: Census) -> None:
        """Count a record."""
        self.first = self.first or (segment, found.start)
        self.records += 1
        self.readings += found.header.readings
        self.last_id = found.header.record_id
        add_census(self.census, census)

    def join(self, others: "Counted") -> None:
        """Count those of `others` too, which lie behind these."""
        self.records += others.records
        self.readings += others.readings
        self.last_id = max(self.last_id, others.last_id)
        add_census(self.census, others.census)


@dataclass(slots=True)
class Survey:
    """What is there: `pending` is to be drained; `cut` says which file has to end where."""

    segments: list[Segment] = field(default_factory=list)
    pending: Counted = field(default_factory=Counted)
    cut: tuple[Segment, int] | None = None


def survey(paths: Iterable[Path], known: Known) -> Survey:
    """Read and check every file; nothing is changed yet."""
    result, beyond = Survey(), Counted()
    result.pending.last_id = known.drained
    for path in sorted(paths):
        segment = Segment(path, size=_size_of(path))
        result.segments.append(segment)
        before = result.pending.records + beyond.records
        _read(segment, known, pending=result.pending, beyond=beyond)
        if result.pending.records + beyond.records == before:
            segment.at = segment.size
    if _is_doubtful(beyond, known):
        result.cut = beyond.first
    elif beyond.records:
        result.pending.join(beyond)
    elif known.appended is not None and result.pending.last_id >= known.appended:
        result.cut = _torn_end(result.segments)
    return result


def count(segments: Iterable[Segment], *, after: int) -> Counted:
    """Count the records still to be drained, those with ids above `after`, reading them whole."""
    pending = Counted(last_id=after)
    for segment in segments:
        for found in segment.records():
            if isinstance(found, Gap) or found.start in segment.gaps:
                continue
            census = checked_census(found)
            if census is not None and found.header.record_id > pending.last_id:
                pending.add(segment, found, census)
    return pending


def add_census(total: Census, more: Census) -> None:
    """Add the readings of each device."""
    for device, readings in more.items():
        total[device] = total.get(device, 0) + readings


def checked_census(found: Found) -> Census | None:
    """Return a record's census, None when it is one of another version."""
    try:
        return unpacked_census(found.census)
    except Unreadable:
        return None


def _read(segment: Segment, known: Known, *, pending: Counted, beyond: Counted) -> None:
    """Count a file's records as pending or beyond what the ledger knows; note its gaps."""
    for found in segment.records(whole=True):
        if isinstance(found, Gap):
            segment.gaps.add(found.start)
            continue
        record_id, census = found.header.record_id, checked_census(found)
        if census is None:
            segment.gaps.add(found.start)
        elif known.appended is None or record_id > known.appended:
            if record_id > beyond.last_id:
                beyond.add(segment, found, census)
        elif record_id > pending.last_id:
            pending.add(segment, found, census)


def _is_doubtful(beyond: Counted, known: Known) -> bool:
    """Return whether the one record beyond was on its way when the process died.

    There is never more than one: the next is appended after the commit of the one before. More
    of them, or one that the ledger could not expect, show that the ledger is older than the
    spool (made anew, or restored): they may have been acknowledged, and are kept.
    """
    return (
        beyond.records == 1
        and beyond.last_id == (known.appended or 0) + 1
        and (known.appended is not None)
    )


def _torn_end(segments: list[Segment]) -> tuple[Segment, int] | None:
    """Return where the last file is torn: what counts is there, the rest was never committed."""
    ours = [one for one in segments if _OURS.fullmatch(one.path.name)]
    if not ours or not ours[-1].gaps:
        return None
    *_, last = ours[-1].records(whole=True)
    return (ours[-1], last.start) if isinstance(last, Gap) else None


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
