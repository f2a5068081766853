"""The sender's protocol: windows, probes, going back, and that a lossy way loses nothing."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.flight import Batch, Flight

_BATCH = 10


def _flight(window: int = 4) -> Flight:
    return Flight(window=window, timeout_s=15.0, timeout_max_s=60.0)


def _send_all(flight: Flight, *, first: int, end: int, now_s: float, mid: int = 1) -> list[Batch]:
    """Send as long as there is something to send, and take each at once."""
    batches = []
    while (seq := flight.next_seq(first, end, now_s)) is not None:
        batch = Batch(seq, min(seq + _BATCH, end) - 1)
        flight.sent(mid, batch, now_s)
        flight.taken(mid, now_s)
        batches.append(batch)
        mid += 1
    return batches


def test_flight_keeps_to_its_window() -> None:
    """No more messages are sent than may wait for their PUBACK."""
    flight = _flight(window=2)
    flight.connected(1, 0.0)
    for mid in (1, 2):
        seq = flight.next_seq(1, 100, 0.0)
        assert seq is not None
        flight.sent(mid, Batch(seq, seq + 9), 0.0)

    assert flight.next_seq(1, 100, 0.0) is None
    assert flight.taken(1, 0.0)
    assert flight.next_seq(1, 100, 0.0) == 21


def test_flight_respects_the_brokers_smaller_window() -> None:
    """The broker's Receive Maximum counts when it is lower."""
    flight = _flight(window=10)
    flight.connected(1, 0.0, window=1)
    flight.sent(1, Batch(1, 10), 0.0)

    assert flight.next_seq(1, 100, 0.0) is None


def test_flight_probes_with_one_batch_at_growing_intervals() -> None:
    """Without acknowledgements the oldest batch is sent after 15, 30, 60, 60 s."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=101, now_s=0.0)

    probed = [at for at in range(1, 200) if _send_all(flight, first=1, end=101, now_s=float(at))]

    assert probed == [15, 45, 105, 165]


def test_flight_goes_back_when_a_probe_shows_a_hole() -> None:
    """An acknowledgement that ends in the probe makes everything after it be sent again."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=41, now_s=0.0)
    assert _send_all(flight, first=1, end=41, now_s=15.0) == [Batch(1, 10)]

    flight.acknowledged(10, 16.0)

    sent = _send_all(flight, first=11, end=41, now_s=16.0)
    assert sent == [Batch(11, 20), Batch(21, 30), Batch(31, 40)]


def test_flight_sends_nothing_twice_when_the_peer_was_only_slow() -> None:
    """An acknowledgement beyond the probe resends nothing."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=41, now_s=0.0)
    _send_all(flight, first=1, end=41, now_s=15.0)

    flight.acknowledged(40, 16.0)

    assert _send_all(flight, first=41, end=41, now_s=100.0) == []
    assert flight.wake_s() is None


def test_flight_sends_again_after_a_reconnect() -> None:
    """With a peer that acknowledges, a new connection begins at the oldest reading held."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=41, now_s=0.0)
    flight.acknowledged(5, 1.0)

    flight.connected(6, 2.0)

    sent = _send_all(flight, first=6, end=41, now_s=2.0)
    assert sent == [Batch(6, 15), Batch(16, 25), Batch(26, 35), Batch(36, 40)]


def test_flight_after_a_reconnect_only_probes_a_peer_that_never_acknowledged() -> None:
    """A broker without our cloud behind it is not sent the whole outbox at every reconnect."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=41, now_s=0.0)

    flight.connected(1, 2.0)

    assert _send_all(flight, first=1, end=41, now_s=2.0) == [Batch(1, 10)]


def test_flight_sends_a_refused_batch_again() -> None:
    """A refused message is sent again, before what follows it."""
    flight = _flight()
    flight.connected(1, 0.0)
    flight.sent(1, Batch(1, 10), 0.0)
    flight.sent(2, Batch(11, 20), 0.0)

    assert flight.refused(1)
    assert flight.next_seq(1, 21, 0.0) == 1


def test_flight_does_not_spin_while_the_window_is_full() -> None:
    """An overdue acknowledgement does not wake anybody who could not send."""
    flight = _flight(window=1)
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=11, now_s=0.0)
    flight.sent(9, Batch(11, 20), 1.0)

    assert flight.wake_s() is None
    assert flight.stalled_s() == 1.0


def test_flight_goes_on_behind_what_the_outbox_dropped() -> None:
    """Dropped sequences are neither sent nor probed for."""
    flight = _flight()
    flight.connected(1, 0.0)
    _send_all(flight, first=1, end=11, now_s=0.0)

    assert flight.next_seq(50, 60, 1.0) == 50
    assert flight.next_seq(50, 50, 100.0) is None
    assert flight.wake_s() is None


class _Cloud:
    """A peer that stores what arrives and acknowledges the contiguous beginning."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def contiguous(self) -> int:
        seq = 0
        while seq + 1 in self.seen:
            seq += 1
        return seq


@settings(deadline=None, max_examples=60)
@given(st.integers(), st.floats(0.0, 0.8), st.integers(1, 200))
def test_flight_delivers_everything_over_a_lossy_way(seed: int, loss: float, end: int) -> None:
    """Whatever is lost on the way and whenever it reconnects, all arrives and all is let go."""
    rng, flight, cloud = random.Random(seed), _flight(), _Cloud()
    first, now_s, mid = 1, 0.0, 0
    flight.connected(first, now_s)

    while first < end and now_s < 100_000:
        while (seq := flight.next_seq(first, end, now_s)) is not None:
            mid, batch = mid + 1, Batch(seq, min(seq + _BATCH, end) - 1)
            flight.sent(mid, batch, now_s)
            flight.taken(mid, now_s)
            if rng.random() >= loss:
                cloud.seen.update(range(batch.from_seq, batch.to_seq + 1))
        acknowledged = cloud.contiguous()
        if acknowledged >= first and rng.random() >= loss:
            first = acknowledged + 1
            flight.acknowledged(acknowledged, now_s)
        if rng.random() < 0.05:
            flight.connected(first, now_s)
        now_s += 5.0

    assert first == end
    assert cloud.contiguous() == end - 1
