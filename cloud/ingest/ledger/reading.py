"""What is known of devices: their rows, and what is pending of them in the journal."""

from collections.abc import Callable
from typing import Any

import msgspec

from cloud.ingest.ledger.accounts import BootRow, BootView, Counts, Holes, Remembered
from cloud.ingest.ledger.moments import recalled
from cloud.ingest.ledger.pending import NOTHING, Account, Pending, counts_of, together
from cloud.ingest.ledger.rows import boot_rows, boot_view, intervals, key_of
from cloud.ingest.ledger.skew import Skew
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceKey, MetricName

_HEARD_AT = 4

Rows = Callable[[str, tuple[object, ...]], list[Any]]

_DEVICE = (
    "SELECT stored, duplicate, dead, filtered, heard_at_ms, spooled, late, newest_ms, skew_ms,"
    " last_gap FROM devices WHERE tenant = ? AND device = ?"
)
_TOTALS = (
    "SELECT coalesce(sum(stored), 0), coalesce(sum(duplicate), 0), coalesce(sum(dead), 0),"
    " coalesce(sum(filtered), 0), coalesce(sum(spooled), 0), coalesce(sum(late), 0) FROM devices"
)
_BOOTS = (
    "SELECT boot, spans, declared_first, forgotten, heard_at_ms, closed, newest_ms, missing,"
    " declared FROM boots WHERE tenant = ? AND device = ?"
)
# `total`, unlike `sum`, does not overflow when devices invent sequences.
_HOLES = "SELECT total(missing), total(declared) FROM boots"
_HOLES_REPLACED = (
    "SELECT total(boots.missing), total(boots.declared) FROM json_each(?) AS pending JOIN boots"
    " ON tenant = value ->> '$[0][0]' AND device = value ->> '$[0][1]' AND boot = value ->> 1"
)
_HOLES_PENDING = "SELECT total(value ->> '$[8][0]'), total(value ->> '$[8][1]') FROM json_each(?)"
_HEARD = "SELECT tenant, device, heard_at_ms FROM devices"
_SPOOLED = "SELECT tenant, device, spooled FROM devices WHERE spooled <> 0"
_MOMENTS = "SELECT number, mark FROM moments WHERE tenant = ? AND device = ? ORDER BY number"
_SERIES = "SELECT metric FROM series WHERE tenant = ? AND device = ?"


_decode = msgspec.json.Decoder(BootRow).decode


class Reading:
    """One moment of the file: `rows` reads in one transaction, `pending` is of the same."""

    def __init__(self, rows: Rows, pending: Pending) -> None:
        self._rows = rows
        self._pending = pending

    def account(self, device: DeviceKey) -> Account | None:
        """Return a device's counts and clock, without its boots; None when it was never heard."""
        rows = self._rows(_DEVICE, device)
        account, pending = ((rows[0], ()) if rows else None), self._pending.get(device)
        if account is None or pending is None:
            return account or pending
        return together(account, pending)

    def totals(self) -> Counts:
        """Return the counts of all devices together."""
        settled = Counts(*self._rows(_TOTALS, ())[0])
        pending = [counts_of(account) for account in self._pending.values()]
        return Counts(*(sum(column) for column in zip(settled, *pending, strict=True)))

    def holes(self) -> Holes:
        """Return how many readings of all boots did not come."""
        pending = boot_rows(self._pending)
        settled = self._rows(_HOLES, ())[0]
        replaced = self._rows(_HOLES_REPLACED, (pending,))[0]
        come = self._rows(_HOLES_PENDING, (pending,))[0]
        return Holes(*(int(settled[at] - replaced[at] + come[at]) for at in (0, 1)))

    def boots(self, device: DeviceKey) -> list[BootView]:
        """Return a device's boots, the one heard last at the end."""
        return [boot_view(row.boot, row.spans) for row in self._boot_rows(device)]

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what intake needs to know of a device; nothing when it was never heard."""
        account = self.account(device)
        if account is None:
            return Remembered()
        moments = self._rows(_MOMENTS, device)
        *_, newest_ms, skew_ms, _ = account[0]
        return Remembered(
            {row.boot: _seen(row) for row in self._boot_rows(device)},
            recalled([(number, bytes.fromhex(mark)) for number, mark in moments]),
            [MetricName(metric) for (metric,) in self._rows(_SERIES, device)],
            newest_ms=newest_ms,
            skew=Skew(skew_ms),
        )

    def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        heard = {key_of(*names): at_ms for *names, at_ms in self._rows(_HEARD, ())}
        for device, account in self._pending.items():
            heard[device] = max(heard.get(device, 0), account[0][_HEARD_AT])
        return heard

    def spooled(self) -> dict[DeviceKey, int]:
        """Return how many readings of each device wait in the spool, of those that have any."""
        spooled = {key_of(*names): count for *names, count in self._rows(_SPOOLED, ())}
        for device, account in self._pending.items():
            spooled[device] = spooled.get(device, 0) + counts_of(account).spooled
        return {device: count for device, count in spooled.items() if count}

    def _boot_rows(self, device: DeviceKey) -> list[BootRow]:
        rows = {}
        for boot, spans, *numbers, missing, declared in self._rows(_BOOTS, device):
            declared_first, forgotten, heard_at_ms, closed, newest_ms = numbers
            rows[boot] = BootRow(
                device,
                boot,
                intervals(spans),
                declared_first,
                forgotten,
                heard_at_ms,
                closed,
                newest_ms,
                Holes(missing, declared),
            )
        for boot, row in self._pending.get(device, NOTHING)[1]:
            rows[boot] = _decode(row)
        return sorted(rows.values(), key=lambda row: (row.heard_at_ms, row.boot))


def _seen(row: BootRow) -> Spans:
    """Return a boot's sequences as intake knows them."""
    return Spans(
        row.spans,
        declared_first=row.declared_first,
        forgotten=row.forgotten,
        closed=row.closed,
        newest_ms=row.newest_ms,
        told=row.holes,
    )
