"""Which readings to send next, and when to send some again. Pure.

Readings move through three states: waiting, in flight (sent, the broker's PUBACK is due), and
taken (PUBACK came, the cloud's end-to-end acknowledgement is due). They leave the outbox with the
last only, so whatever goes wrong in between, sending goes back to the oldest one still held:

- after a reconnect everything unacknowledged is sent again;
- when no acknowledgement comes in time, the oldest batch alone is sent again, as a probe, and the
  timeout doubles. An acknowledgement that ends inside the probe shows that what followed it is
  lost: sending goes back to there. A peer that never acknowledges costs one batch a timeout.
"""

from typing import NamedTuple


class Batch(NamedTuple):
    """Sequences sent in one message, both ends included."""

    from_seq: int
    to_seq: int


class _InFlight(NamedTuple):
    batch: Batch
    sent_s: float


class Flight:
    """The sender's side of the protocol; times are monotonic seconds."""

    def __init__(self, *, window: int, timeout_s: float, timeout_max_s: float) -> None:
        self._window_max = window
        self._window = window
        self._timeout_s = timeout_s
        self._timeout_min_s = timeout_s
        self._timeout_max_s = timeout_max_s
        self._in_flight: dict[int, _InFlight] = {}
        self._cursor = 1
        self._taken_until = 0
        self._ack_due_s: float | None = None
        self._probe_wanted = False
        self._probe: Batch | None = None
        self._peer_acknowledges = False
        self.resends = 0

    def connected(self, first: int, now_s: float, *, window: int | None = None) -> None:
        """Begin on a new connection, whose broker allows `window` messages in flight."""
        self._window = min(self._window_max, window or self._window_max)
        lost = min((sent.batch.from_seq for sent in self._in_flight.values()), default=self._cursor)
        self._in_flight.clear()
        self._go_back(first if self._peer_acknowledges else lost)
        self._taken_until = min(self._taken_until, self._cursor - 1)
        self._probe, self._probe_wanted = None, False
        self._timeout_s = self._timeout_min_s
        self._ack_due_s = now_s if self._taken_until >= first else None

    def next_seq(self, first: int, end: int, now_s: float) -> int | None:
        """Return the sequence to send from, if one of `first`..`end` - 1 is to be sent now."""
        if len(self._in_flight) >= self._window:
            return None
        self._check_overdue(first, now_s)
        if self._probe_wanted and first < self._cursor:
            return first
        self._cursor = max(self._cursor, first)
        return self._cursor if self._cursor < end else None

    def sent(self, mid: int, batch: Batch, now_s: float) -> None:
        """Note that a batch was handed to the broker under a message id."""
        if batch.from_seq < self._cursor:
            self.resends += 1
            self._probe, self._probe_wanted = batch, False
        self._in_flight[mid] = _InFlight(batch, now_s)
        self._cursor = max(self._cursor, batch.to_seq + 1)

    def skip(self, seq: int) -> None:
        """Go on behind a reading that cannot be sent."""
        self._cursor = max(self._cursor, seq + 1)
        self._probe_wanted = False

    def taken(self, mid: int, now_s: float) -> bool:
        """Note a PUBACK; return whether it answers one of our batches."""
        sent = self._in_flight.pop(mid, None)
        if sent is None:
            return False
        self._taken_until = max(self._taken_until, sent.batch.to_seq)
        if self._ack_due_s is None:
            self._ack_due_s = now_s + self._timeout_s
        return True

    def refused(self, mid: int) -> bool:
        """Note that the broker refused a message; it will be sent again."""
        sent = self._in_flight.pop(mid, None)
        if sent is None:
            return False
        self._go_back(sent.batch.from_seq)
        return True

    def acknowledged(self, seq: int, now_s: float) -> None:
        """Note an acknowledgement that freed readings: the cloud has everything up to `seq`."""
        self._peer_acknowledges = True
        self._timeout_s = self._timeout_min_s
        self._ack_due_s = now_s + self._timeout_s if seq < self._taken_until else None
        if self._probe is not None and seq <= self._probe.to_seq:
            self._go_back(seq + 1)
        self._probe, self._probe_wanted = None, False

    def renumbered(self) -> None:
        """Begin at sequence 1: the outbox began a new boot."""
        self._in_flight.clear()
        self._cursor, self._taken_until, self._ack_due_s = 1, 0, None
        self._probe, self._probe_wanted = None, False

    def is_idle(self, end: int) -> bool:
        """Tell whether the broker has taken everything before `end`."""
        return not self._in_flight and self._cursor >= end

    def wake_s(self) -> float | None:
        """Return when an overdue acknowledgement would be acted upon, if one is due."""
        return None if len(self._in_flight) >= self._window else self._ack_due_s

    def stalled_s(self) -> float | None:
        """Return since when the oldest message waits for its PUBACK, if one does."""
        return min((sent.sent_s for sent in self._in_flight.values()), default=None)

    def _check_overdue(self, first: int, now_s: float) -> None:
        if self._ack_due_s is None or now_s < self._ack_due_s:
            return
        if first > self._taken_until:
            self._ack_due_s = None
            return
        self._probe_wanted = True
        self._timeout_s = min(self._timeout_max_s, self._timeout_s * 2)
        self._ack_due_s = now_s + self._timeout_s

    def _go_back(self, seq: int) -> None:
        if seq < self._cursor:
            self._cursor = seq
            self.resends += 1
