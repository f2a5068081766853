"""What is to be drained next: the readable records at the front of a file."""

from typing import NamedTuple

from cloud.ingest.spool.contents import Contents, Unreadable, unpacked
from cloud.ingest.spool.segment import Found, Gap, Segment

# Records are packed, some to a thousandth: a file of a few megabytes can hold gigabytes.
MOST_BYTES = 16 * 1024 * 1024


class Front(NamedTuple):
    """Records at the front, in order, for `Spool.drained`; `is_damaged`: some were lost here."""

    segment: Segment
    contents: list[Contents]
    end: int
    last_id: int
    is_damaged: bool


def front_of(segment: Segment, *, after: int, max_readings: int) -> Front:
    """Return a file's first records with ids above `after`, of about so many readings.

    Once their payloads are `MOST_BYTES` no other record follows.

    Notes the gaps that are met for the first time in the segment.
    """
    contents, last_id, readings, end, is_damaged = list[Contents](), after, 0, segment.at, False
    size_bytes = 0
    for found in segment.records():
        end = found.end
        if isinstance(found, Found) and found.header.record_id <= last_id:
            continue
        record = _contents(found)
        if record is None:
            is_damaged |= found.start not in segment.gaps
            segment.gaps.add(found.start)
        elif isinstance(found, Found):
            contents.append(record)
            last_id, readings = found.header.record_id, readings + found.header.readings
            size_bytes += sum(len(message.payload) for message in record.messages)
            if readings >= max_readings or size_bytes >= MOST_BYTES:
                break
    return Front(segment, contents, end, last_id, is_damaged)


def _contents(found: Found | Gap) -> Contents | None:
    """Return what a record holds, None when it cannot be read."""
    if isinstance(found, Gap):
        return None
    try:
        return unpacked(found.contents)
    except Unreadable:
        return None
