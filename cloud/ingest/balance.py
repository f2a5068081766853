"""What became of all readings, in memory, so that it adds up at any moment.

received = stored + duplicate + dead + filtered + in_flight: a batch that becomes durable moves
from one side of the sum to the other in one step. Any thread may ask.
"""

import threading

from cloud.ingest.accounts import Entry, Holes, Totals
from wire.ids import DeviceKey

Counts = tuple[int, int, int, int, int]


class Balance:
    """Starts at what is durable: (stored, duplicate, dead, filtered, late), and the holes."""

    def __init__(self, counts: Counts, holes: Holes) -> None:
        self._lock = threading.Lock()
        self._stored, self._duplicate, self._dead, self._filtered, self._late = counts
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
            for tally in entry.tallies.values():
                self._stored += tally.stored
                self._duplicate += tally.duplicate
                self._dead += tally.dead
                self._filtered += tally.filtered
                self._late += tally.late
            self._missing += entry.missing - forgotten.missing
            self._declared += entry.declared - forgotten.declared

    def in_flight(self, device: DeviceKey) -> int:
        """Return how many of a device's readings are in batches that are not durable yet."""
        with self._lock:
            return self._in_flight.get(device, 0)

    def totals(self) -> Totals:
        """Return the counts of all devices together."""
        with self._lock:
            in_flight = sum(self._in_flight.values())
            durable = self._stored + self._duplicate + self._dead + self._filtered
            return Totals(
                durable + in_flight,
                self._stored,
                self._duplicate,
                self._dead,
                self._filtered,
                in_flight,
                self._late,
                max(0, self._missing),
                max(0, self._declared),
            )

    def _move(self, device: DeviceKey, readings: int) -> None:
        left = self._in_flight.get(device, 0) + readings
        if left:
            self._in_flight[device] = left
        else:
            self._in_flight.pop(device, None)
