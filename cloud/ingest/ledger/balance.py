"""What became of all readings, in memory, so that it adds up at any moment.

received = stored + duplicate + dead + filtered + in_flight; what is in the spool is in flight,
durably. A batch that becomes durable moves from one term of the sum to the others in one step.
Any thread may ask.
"""

import threading
from operator import attrgetter

from cloud.ingest.ledger.accounts import Counts, Entry, Holes, Totals
from wire.ids import DeviceKey

_fates = attrgetter(*Counts._fields)


class Balance:
    """Starts at what is durable, and the holes."""

    def __init__(self, counts: Counts, holes: Holes) -> None:
        self._lock = threading.Lock()
        self._counts = counts
        self._missing, self._declared = holes
        self._in_flight: dict[DeviceKey, int] = {}

    def expect(self, entry: Entry) -> None:
        """Add a batch's readings to those in flight."""
        entry.expected = {device: tally.readings() for device, tally in entry.tallies.items()}
        with self._lock:
            for device, readings in entry.expected.items():
                self._move(device, readings)

    def settle(self, entry: Entry, forgotten: Holes) -> None:
        """Take a batch off what is in flight: it is durable. `forgotten`: of forgotten boots."""
        with self._lock:
            for device, readings in entry.expected.items():
                self._move(device, -readings)
            self._counts = Counts(
                *map(sum, zip(self._counts, *map(_fates, entry.tallies.values()), strict=True))
            )
            self._missing += entry.missing - forgotten.missing
            self._declared += entry.declared - forgotten.declared

    def in_flight(self, device: DeviceKey) -> int:
        """Return how many of a device's readings are in batches that are not durable yet.

        Those in the spool are not among them.
        """
        with self._lock:
            return self._in_flight.get(device, 0)

    def totals(self) -> Totals:
        """Return the counts of all devices together."""
        with self._lock:
            stored, duplicate, dead, filtered, spooled, late = self._counts
            in_flight = sum(self._in_flight.values()) + spooled
            return Totals(
                stored + duplicate + dead + filtered + in_flight,
                stored,
                duplicate,
                dead,
                filtered,
                in_flight,
                late,
                max(0, self._missing),
                max(0, self._declared),
            )

    def _move(self, device: DeviceKey, readings: int) -> None:
        left = self._in_flight.get(device, 0) + readings
        if left:
            self._in_flight[device] = left
        else:
            self._in_flight.pop(device, None)
