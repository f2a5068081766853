"""What the sender does with the broker's and the cloud's answers."""

import random

from edge_agent.clock import Clock
from edge_agent.connection import Accepted, Message, Received, Refused, Taken
from edge_agent.outbox import Gap, Outbox, Sample
from edge_agent.outbox_file import outbox_in_memory
from edge_agent.sender import Sender
from edge_agent.settings import Mqtt, OutboxLimits
from tests.support.decoding import decoded_json
from wire.codecs.json import encode
from wire.ids import DeviceId, DeviceKey, MetricName, TenantId
from wire.messages import Ack, Decoded

_DEVICE = DeviceKey(TenantId("acme"), DeviceId("pump"))


class _Wire:
    """A connection that keeps what is sent over it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def open(self) -> None:
        pass

    def step(self, timeout_s: float) -> list[object]:
        return []

    def wake(self) -> None:
        pass

    def publish(self, message: Message) -> int:
        self.sent.append(message)
        return len(self.sent)

    def subscribe(self, topic: str) -> None:
        pass

    def close(self) -> None:
        pass

    def decoded(self, index: int) -> Decoded:
        return decoded_json(self.sent[index].payload)

    def sequences(self, index: int) -> list[int | None]:
        return [reading.seq for reading in self.decoded(index).readings]


class _Bench:
    """A sender with a clock that stands still, an outbox in memory, and a wire."""

    def __init__(self, settings: Mqtt | None = None) -> None:
        self.now_s = 1_000.0
        self.outbox: Outbox = outbox_in_memory(OutboxLimits(), boot="b1")
        self.wire = _Wire()
        self.sender = Sender(
            self.outbox,
            settings or Mqtt(),
            device=_DEVICE,
            clock=Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s),
            rng=random.Random(1),
            new_boot=lambda: "b2",
        )
        self.sender.accepted(Accepted())

    def keep(self, count: int, text: str = "x") -> None:
        samples = [Sample(1, {MetricName("m"): text}) for _ in range(count)]
        self.outbox.append(samples, now_ms=1)

    def pump(self) -> None:
        self.sender.pump(self.wire)  # type: ignore[arg-type]  # step returns nothing here

    def acknowledge(self, seq: int, boot: str = "b1") -> None:
        self.sender.received(Received("t/acme/pump/ack", encode(Ack(boot, seq))))


def test_sender_batches_what_is_waiting() -> None:
    """Waiting readings leave in few messages on the device's own topic."""
    bench = _Bench()
    bench.keep(250)

    bench.pump()

    assert [len(bench.wire.sequences(n)) for n in range(3)] == [100, 100, 50]
    assert {message.topic for message in bench.wire.sent} == {"t/acme/pump/telemetry"}
    assert bench.wire.decoded(0).first == 1


def test_sender_holds_readings_until_the_end_to_end_acknowledgement() -> None:
    """A PUBACK alone lets nothing go; the acknowledgement of the cloud does."""
    bench = _Bench()
    bench.keep(5)
    bench.pump()

    bench.sender.taken(Taken(1))
    assert bench.outbox.state.first == 1
    bench.acknowledge(3)

    assert bench.outbox.state.first == 4


def test_sender_ignores_acknowledgements_that_are_not_for_it() -> None:
    """Another boot's acknowledgement and one that cannot be read change nothing."""
    bench = _Bench()
    bench.keep(5)

    bench.acknowledge(3, boot="other")
    bench.sender.received(Received("t/acme/pump/ack", b"{"))

    assert bench.outbox.state.first == 1


def test_sender_waits_after_a_refusal_and_sends_again() -> None:
    """A refused message is sent again after a delay, not at once."""
    bench = _Bench()
    bench.keep(5)
    bench.pump()

    bench.sender.refused(Refused(1, "Not authorized"))
    bench.pump()
    assert len(bench.wire.sent) == 1
    bench.now_s += 60.0
    bench.pump()

    assert bench.wire.sequences(1) == [1, 2, 3, 4, 5]


def test_sender_keeps_messages_below_the_brokers_packet_size() -> None:
    """The broker's Maximum Packet Size cuts batches; every reading still leaves."""
    bench = _Bench()
    bench.sender.accepted(Accepted(max_packet_bytes=400))
    bench.keep(20)

    for _ in range(20):
        bench.pump()
        for mid in range(1, len(bench.wire.sent) + 1):
            bench.sender.taken(Taken(mid))

    sent = [seq for n in range(len(bench.wire.sent)) for seq in bench.wire.sequences(n)]
    assert sent == list(range(1, 21))
    assert all(len(message.payload) < 400 - 16 for message in bench.wire.sent)


def test_sender_declares_a_reading_too_large_for_the_broker_as_a_gap() -> None:
    """What can never be sent does not stand in the way of what follows."""
    bench = _Bench(Mqtt(ack_timeout_s=15.0))
    bench.sender.accepted(Accepted(max_packet_bytes=400))
    bench.keep(1)
    bench.keep(1, text="x" * 1_000)
    bench.keep(1)

    bench.pump()
    bench.sender.taken(Taken(1))
    bench.sender.taken(Taken(2))
    bench.acknowledge(1)
    bench.now_s += 15.0
    bench.pump()

    assert bench.outbox.state.first == 3
    assert bench.outbox.state.gap == Gap(2, 2)
    bench.now_s += 30.0
    bench.pump()
    assert bench.wire.decoded(-1).first == 3


def test_sender_begins_a_new_boot_when_the_cloud_knows_more() -> None:
    """An outbox restored from an old copy renumbers what it holds instead of losing it."""
    bench = _Bench()
    bench.keep(5)
    bench.acknowledge(2)

    bench.acknowledge(900)
    bench.pump()

    assert bench.outbox.state.boot == "b2"
    assert bench.wire.sequences(-1) == [1, 2, 3]
    assert bench.wire.decoded(-1).readings[0].boot == "b2"
