"""What the ledger's statements are given, and what their rows mean. Pure.

Many rows go into one statement as one JSON text: every single statement would fight for the
interpreter's lock.
"""

import msgspec

from cloud.ingest.accounts import BootView, Entry
from cloud.ingest.spans import Spans
from wire.ids import DeviceId, DeviceKey, TenantId

Intervals = list[tuple[int, int]]


def key_of(tenant: str, device: str) -> DeviceKey:
    """Return the key of names that were checked before they were written."""
    return DeviceKey(TenantId(tenant), DeviceId(device))


def intervals(spans: str) -> Intervals:
    """Return the intervals that a row holds."""
    return msgspec.json.decode(spans, type=Intervals)


def boot_view(boot: str, spans: str) -> BootView:
    """Return a boot as the API shows it."""
    seen = Spans(intervals(spans))
    return BootView(boot, seen.starts[0], seen.stops[-1], seen.missing())


def count_rows(entry: Entry) -> str:
    """Return the rows of `add_counts.sql`."""
    rows = [
        (*key, t.stored, t.duplicate, t.dead, t.filtered, t.heard_at_ms)
        for key, t in entry.tallies.items()
    ]
    return msgspec.json.encode(rows).decode()


def boot_rows(entry: Entry) -> str:
    """Return the rows of `put_boots.sql`."""
    rows = [
        (*row.device, row.boot, row.spans, row.declared_first, row.forgotten, row.heard_at_ms)
        for row in entry.boots
    ]
    return msgspec.json.encode(rows).decode()
