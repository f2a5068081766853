"""What the ledger's statements are given, and what their rows mean. Pure.

Many rows go into one statement as one JSON text: every single statement would fight for the
interpreter's lock.
"""

import msgspec

from cloud.ingest.ledger.accounts import BootView, Entry, Gap, LastGap, Tally
from cloud.ingest.ledger.moments import slot_of
from cloud.ingest.ledger.pending import NO_COUNTS, Account, Accounts, BootText, CountRow
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceId, DeviceKey, TenantId

Intervals = list[tuple[int, int]]
_encode = msgspec.json.Encoder().encode


def key_of(tenant: str, device: str) -> DeviceKey:
    """Return the key of names that were checked before they were written."""
    return DeviceKey(TenantId(tenant), DeviceId(device))


def intervals(spans: str) -> Intervals:
    """Return the intervals that a row holds."""
    return msgspec.json.decode(spans, type=Intervals)


def boot_view(boot: str, spans: Intervals) -> BootView:
    """Return a boot as the API shows it."""
    seen = Spans(spans)
    return BootView(boot, seen.starts[0], seen.stops[-1], seen.missing())


def last_gap(text: str | None, boots: list[BootView]) -> LastGap | None:
    """Return the hole that a row names, and how much of it the device's boots still lack."""
    if text is None:
        return None
    gap = msgspec.json.decode(text, type=Gap)
    holes = [hole for boot in boots if boot.boot == gap.boot for hole in boot.missing]
    missing = sum(max(0, min(stop, gap.last) - max(start, gap.first) + 1) for start, stop in holes)
    return LastGap(gap.boot, gap.first, gap.last, gap.at_ms, missing)


def accounts_of(entry: Entry) -> dict[DeviceKey, Account]:
    """Return what a batch adds to the accounts of the devices that it touches."""
    boots: dict[DeviceKey, tuple[BootText, ...]] = {}
    for row in entry.boots:
        device, text = row[0], (row[1], _encode(row))
        boots[device] = (*boots[device], text) if device in boots else (text,)
    accounts = {
        device: (_counts(tally), boots.get(device, ())) for device, tally in entry.tallies.items()
    }
    for device in boots.keys() - accounts.keys():
        accounts[device] = (NO_COUNTS, boots[device])
    return accounts


def count_rows(accounts: Accounts) -> str:
    """Return the rows of `add_counts.sql`."""
    return _rows([(*device, *counts) for device, (counts, _) in accounts.items()])


def boot_rows(accounts: Accounts) -> str:
    """Return the rows of `put_boots.sql`."""
    rows = [row for _, boots in accounts.values() for _, row in boots]
    return f"[{b','.join(rows).decode()}]"


def moment_rows(entry: Entry) -> str:
    """Return the rows of `put_moments.sql`; in a batch larger than the memory the last stay."""
    newest = {(device, slot_of(number)): (number, mark) for device, number, mark in entry.moments}
    return _rows(
        [(*device, slot, number, mark.hex()) for (device, slot), (number, mark) in newest.items()]
    )


def series_rows(entry: Entry) -> str:
    """Return the rows of `add_series.sql`."""
    return _rows([(*device, metric) for device, metric in entry.series])


def _counts(tally: Tally) -> CountRow:
    return (
        tally.stored,
        tally.duplicate,
        tally.dead,
        tally.filtered,
        tally.heard_at_ms,
        tally.spooled,
        tally.late,
        tally.newest_ms,
        tally.skew_ms,
        None if tally.gap is None else msgspec.json.encode(tally.gap).decode(),
    )


def _rows(rows: list[tuple[object, ...]]) -> str:
    return msgspec.json.encode(rows).decode()
