"""What the journal says of devices beyond their rows, by device. Pure."""

from collections.abc import Iterable, Mapping

from cloud.ingest.ledger.accounts import Counts
from wire.ids import DeviceKey

# stored, duplicate, dead, filtered, heard_at_ms, spooled, late, newest_ms, skew_ms, gap (JSON):
# what is to be added to a device's row, see `add_counts.sql`.
CountRow = tuple[int, int, int, int, int, int, int, int, int | None, str | None]
# A boot's name, and its row as it stands then, see `put_boots.sql`.
BootText = tuple[str, bytes]
# Plain tuples: one of each is made for every device of every batch.
Account = tuple[CountRow, tuple[BootText, ...]]
Accounts = Mapping[DeviceKey, Account]

NO_COUNTS: CountRow = (0, 0, 0, 0, 0, 0, 0, 0, None, None)
NOTHING: Account = (NO_COUNTS, ())


def counts_of(account: Account) -> Counts:
    """Return the readings by fate."""
    stored, duplicate, dead, filtered, _, spooled, late, *_ = account[0]
    return Counts(stored, duplicate, dead, filtered, spooled, late)


class Pending(dict[DeviceKey, Account]):
    """The accounts of the devices that the journal names and that have not been settled since."""

    def joined(self, noted: Accounts) -> dict[DeviceKey, Account]:
        """Return how the accounts of these devices stand with what is noted now."""
        return {
            device: together(before, account) if (before := self.get(device)) else account
            for device, account in noted.items()
        }

    def settle(self, devices: Iterable[DeviceKey]) -> None:
        """Take devices off: their rows say everything."""
        for device in devices:
            self.pop(device, None)


def together(one: Account, two: Account) -> Account:
    """Return an account and what came later; of the same boot the later row stays."""
    (a0, a1, a2, a3, heard, a5, a6, newest, skew, gap), boots = one
    (b0, b1, b2, b3, heard_now, b5, b6, newest_now, skew_now, gap_now), boots_now = two
    counts = (
        a0 + b0,
        a1 + b1,
        a2 + b2,
        a3 + b3,
        max(heard, heard_now),
        a5 + b5,
        a6 + b6,
        max(newest, newest_now),
        skew if skew_now is None else skew_now,
        gap_now or gap,
    )
    if len(boots) == len(boots_now) == 1 and boots[0][0] == boots_now[0][0]:
        return counts, boots_now
    return counts, tuple((dict(boots) | dict(boots_now)).items())
