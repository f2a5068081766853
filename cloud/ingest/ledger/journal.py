"""A batch's accounts as one row, instead of two rows for each device that it touches.

A device is settled, its rows written, when it begins a boot; and all are by turns once the journal
is long: who is heard in many batches is written once for all of them. A page of the journal holds
whom its transaction has settled, and what it notes of others. So what is pending follows from the
pages in their order, in every process that has the file open, whenever it or another was killed.
"""

import sqlite3
import zlib
from dataclasses import dataclass

import msgspec

from cloud.ingest.ledger.accounts import Entry
from cloud.ingest.ledger.limits import SHIPPED, Limits
from cloud.ingest.ledger.pending import Account, Accounts, Pending
from cloud.ingest.ledger.rows import accounts_of, boot_rows, count_rows, key_of
from cloud.ingest.ledger.schema import LedgerAway
from wire.ids import DeviceKey

# How much is noted before everybody is settled: that many notes a device, less when the devices
# (`Limits.pending`) or the bytes are many. While everybody is, as much again at most.
_NOTES_A_DEVICE = 8
_MAX_BYTES = 64 * 1024 * 1024
_LEVEL = 1

_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
_SINCE = "SELECT id, page FROM journal WHERE id > ? ORDER BY id"
_ADD = "INSERT INTO journal (page) VALUES (?)"
_FORGET = "DELETE FROM journal WHERE id <= ?"


class _Page(msgspec.Struct, array_like=True):
    """Whom a transaction has settled; then rows of `add_counts.sql` and of `put_boots.sql`."""

    settled: list[DeviceKey]
    counts: list[tuple[str, str, int, int, int, int, int, int, int, int, int | None, str | None]]
    boots: list[msgspec.Raw]


class _BootName(msgspec.Struct, array_like=True):
    device: DeviceKey
    boot: str


_decode = msgspec.json.Decoder(_Page).decode
_decode_name = msgspec.json.Decoder(_BootName).decode


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction does: whose rows it writes, what it notes, what it no longer needs."""

    settled: Accounts
    noted: Accounts
    page: bytes | None
    share: int = 0
    forgets: int | None = None


class Journal:
    """The pages seen so far, as what is pending. Callers see to it that one at a time is here."""

    def __init__(self, limits: Limits = SHIPPED) -> None:
        self._limits = limits
        self._begin()

    def _begin(self) -> None:
        self.pending = Pending()
        self._seen = 0
        self._notes = self._bytes = 0
        # Whom to settle yet; then the pages up to this one are not needed any more.
        self._due: list[DeviceKey] = []
        self._until = 0

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Read the pages that others wrote since, in the caller's transaction.

        Raises:
            LedgerAway: a page is damaged.
        """
        row = connection.execute(_LAST).fetchone()
        last = 0 if row is None else int(row[0])
        if last == self._seen:
            return
        pages = connection.execute(_SINCE, (self._seen,)).fetchall()
        if len(pages) != last - self._seen:
            # Some are gone, settled by now: what is left says whose accounts are pending.
            self._begin()
            pages = connection.execute(_SINCE, (0,)).fetchall()
        try:
            for _, page in pages:
                self._turn(page)
        except (zlib.error, msgspec.DecodeError, KeyError) as exc:
            self._begin()
            raise LedgerAway(f"a page of the ledger's journal is damaged: {exc}") from exc
        self._seen = last

    def step(self, entry: Entry) -> Step:
        """Return what is to be done for a batch; nothing has changed yet."""
        notes = accounts_of(entry)
        joined = self.pending.joined(notes)
        self._begin_settling()
        share = self._due[-max(len(notes), self._limits.share) :]
        settled: dict[DeviceKey, Account] = {}
        for device in (*entry.devices_with_new_boots, *share):
            account = joined.pop(device, None) or self.pending.get(device)
            if account is not None and device not in settled:
                settled[device] = account
                notes.pop(device, None)
        was_pending = [device for device in settled if device in self.pending]
        forgets = self._until if len(share) == len(self._due) > 0 else None
        return Step(settled, joined, _page(was_pending, notes), len(share), forgets)

    def write(self, connection: sqlite3.Connection, step: Step) -> None:
        """Write a step's page, in the caller's transaction."""
        if step.page is not None:
            connection.execute(_ADD, (step.page,))
        if step.forgets is not None:
            connection.execute(_FORGET, (step.forgets,))

    def done(self, step: Step) -> None:
        """Take in a step whose transaction was committed."""
        self._seen += step.page is not None
        self._notes += len(step.noted)
        self._bytes += len(step.page or b"")
        del self._due[len(self._due) - step.share :]
        self.pending.settle(step.settled)
        self.pending.update(step.noted)

    def _begin_settling(self) -> None:
        """Settle everybody from now on, when enough is noted and nobody is due."""
        devices = len(self.pending)
        is_enough = (
            self._notes >= max(self._limits.notes, _NOTES_A_DEVICE * devices)
            or devices >= self._limits.pending
            or self._bytes >= _MAX_BYTES
        )
        if self._due or not is_enough:
            return
        # In the order of the rows: neighbours are written at once.
        self._due = sorted(self.pending)
        self._until, self._notes, self._bytes = self._seen, 0, 0

    def _turn(self, packed: bytes) -> None:
        page = _decode(zlib.decompress(packed))
        self.pending.settle(page.settled)
        notes: dict[DeviceKey, Account] = {
            key_of(row[0], row[1]): (row[2:], ()) for row in page.counts
        }
        for row in page.boots:
            named = _decode_name(row)
            counts, boots = notes[named.device]
            notes[named.device] = counts, (*boots, (named.boot, bytes(row)))
        self.pending.update(self.pending.joined(notes))
        self._notes += len(notes)
        self._bytes += len(packed)


def _page(settled: list[DeviceKey], noted: Accounts) -> bytes | None:
    if not settled and not noted:
        return None
    parts = (msgspec.json.encode(settled).decode(), count_rows(noted), boot_rows(noted))
    return zlib.compress(f"[{','.join(parts)}]".encode(), _LEVEL)
