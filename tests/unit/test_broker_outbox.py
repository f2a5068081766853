"""The outbox of a session of the embedded broker."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.embedded.outbox import Bounds, Outbox, Outgoing


def _message(number: int, qos: int = 1) -> Outgoing:
    return Outgoing("t/a/b/telemetry", str(number).encode(), qos)


def _drain(outbox: Outbox) -> list[Outgoing]:
    return list(iter(outbox.next, None))


def test_put_drops_the_newest_when_full() -> None:
    """Beyond its bounds a message is lost and counted; those before it stay."""
    outbox = Outbox(Bounds(messages=2))

    taken = [outbox.put(_message(number)) for number in range(3)]

    assert taken == [True, True, False]
    assert outbox.dropped == 1
    assert [message.data for message in _drain(outbox)] == [b"0", b"1"]


def test_put_counts_bytes() -> None:
    """The bound on bytes holds too, and room returns when something was sent."""
    outbox = Outbox(Bounds(size_bytes=10))

    assert outbox.put(Outgoing("t", b"x" * 8, 1))
    assert not outbox.put(Outgoing("t", b"x" * 8, 1))
    _drain(outbox)
    assert outbox.put(Outgoing("t", b"x" * 8, 1))


def test_next_stops_at_the_bound_in_flight() -> None:
    """No more than the bound is unacknowledged; an acknowledgement makes room."""
    outbox = Outbox(Bounds(in_flight=2))
    for number in range(3):
        outbox.put(_message(number))

    first, _ = _drain(outbox)
    outbox.acknowledge(first.packet_id or 0)

    assert [message.data for message in _drain(outbox)] == [b"2"]


def test_resume_sends_the_unacknowledged_first() -> None:
    """After a reconnect: what is in flight, marked as a repetition, then what waits."""
    outbox = Outbox(Bounds(in_flight=2))
    for number in range(3):
        outbox.put(_message(number))
    sent = [message.packet_id for message in _drain(outbox)]

    outbox.resume()
    again = _drain(outbox)

    assert [(message.packet_id, message.dup) for message in again] == [(id_, True) for id_ in sent]
    outbox.acknowledge(sent[0] or 0)
    assert [(m.data, m.dup) for m in _drain(outbox)] == [(b"2", False)]


def test_resume_drops_waiting_messages_of_qos_0() -> None:
    """A message without a promise is not kept for the next connection."""
    outbox = Outbox(Bounds())
    outbox.put(_message(0, qos=0))
    outbox.put(_message(1))

    outbox.resume()

    assert [message.data for message in _drain(outbox)] == [b"1"]


class Delivery(RuleBasedStateMachine):
    """Whatever happens, each message is acknowledged, in flight or waiting, and keeps its order."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(Bounds(in_flight=3, messages=5))
        self.number = 0
        self.open: list[bytes] = []
        self.sent: dict[int, bytes] = {}

    @rule()
    def put(self) -> None:
        """Take one message; refuse it only when five wait."""
        self.number += 1
        full = self.outbox.waiting == 5
        assert self.outbox.put(_message(self.number)) is not full
        if not full:
            self.open.append(str(self.number).encode())

    @rule()
    def send(self) -> None:
        """Send one, if something may be sent."""
        message = self.outbox.next()
        if message is not None:
            assert message.packet_id is not None
            assert self.sent.setdefault(message.packet_id, message.data) == message.data

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Acknowledge any sent message, in any order."""
        packet_id = data.draw(st.sampled_from(sorted(self.sent)))
        assert self.outbox.acknowledge(packet_id)
        assert not self.outbox.acknowledge(packet_id)
        self.open.remove(self.sent.pop(packet_id))

    @rule()
    def reconnect(self) -> None:
        """Lose the connection."""
        self.outbox.resume()

    @invariant()
    def nothing_is_lost(self) -> None:
        """What was taken and not acknowledged is still there."""
        assert self.outbox.waiting + self.outbox.in_flight == len(self.open)
        assert self.outbox.in_flight <= 3

    def teardown(self) -> None:
        """Everything that is open arrives after a last reconnect, in its order."""
        self.outbox.resume()
        arrived: list[bytes] = []
        while batch := _drain(self.outbox):
            arrived += [message.data for message in batch]
            for message in batch:
                self.outbox.acknowledge(message.packet_id or 0)
        assert arrived == self.open


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
