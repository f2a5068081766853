"""What both brokers keep for their clients: queues, wills, acknowledgements, a connection each."""

import pytest

from broker.accounts import INGEST_USERNAME
from tests.support.broker_pair import DEVICE, OTHER, PASSWORD, RunningBroker


def test_last_will_is_sent_when_the_connection_is_lost(either_broker: RunningBroker) -> None:
    """The gateway learns that a device vanished."""
    with either_broker.ingest() as ingest:
        ingest.subscribe("t/+/+/status")
        device = either_broker.client(DEVICE, will=(f"t/{DEVICE}/status", b"offline")).connect()

        device.drop()

        assert ingest.received(1) == [b"offline"]


def test_no_last_will_after_a_goodbye(either_broker: RunningBroker) -> None:
    """A device that disconnects properly leaves no will."""
    with either_broker.ingest() as ingest:
        ingest.subscribe("t/+/+/status")

        with either_broker.client(DEVICE, will=(f"t/{DEVICE}/status", b"offline")):
            pass

        assert ingest.is_quiet()


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_queue_survives_a_thief_of_the_client_id(
    either_broker: RunningBroker, *, clean: bool, password: str
) -> None:
    """A device that connects as the gateway's client id neither gets nor destroys its queue."""
    with either_broker.ingest() as ingest:
        ingest.subscribe("t/+/+/telemetry")
    with either_broker.client(DEVICE) as device:
        device.publish(f"t/{DEVICE}/telemetry", b"precious")

    thief = either_broker.client(OTHER, password=password, client_id=INGEST_USERNAME, clean=clean)
    thief.connect()
    stolen = not thief.is_quiet()
    thief.drop()

    with either_broker.ingest() as ingest:
        assert ingest.session_present
        assert ingest.received(1) == [b"precious"]
    assert not stolen


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_live_gateway_is_not_pushed_out(either_broker: RunningBroker, password: str) -> None:
    """Connecting with the gateway's client id leaves its connection alone."""
    with either_broker.ingest() as ingest, either_broker.client(DEVICE) as device:
        ingest.subscribe("t/+/+/telemetry")
        thief = either_broker.client(OTHER, password=password, client_id=INGEST_USERNAME).connect()

        device.publish(f"t/{DEVICE}/telemetry", b"still here")

        assert ingest.received(1) == [b"still here"]
        assert not ingest.gone.is_set()
        thief.drop()


def test_second_connection_of_a_device_replaces_the_first(either_broker: RunningBroker) -> None:
    """A device that comes back before its old connection is noticed dead is served."""
    with either_broker.ingest() as ingest:
        first = either_broker.client(DEVICE, clean=False).connect()
        with either_broker.client(DEVICE, clean=False) as second:
            second.subscribe(f"t/{DEVICE}/cmd")

            ingest.publish(f"t/{DEVICE}/cmd", b"go")

            assert second.received(1) == [b"go"]
            assert first.gone.wait(5)


def test_unacknowledged_messages_come_again_after_a_reconnect(either_broker: RunningBroker) -> None:
    """What the gateway did not acknowledge is sent again, in order, and only that."""
    with either_broker.client(DEVICE) as device:
        ingest = either_broker.ingest().connect()
        ingest.subscribe("t/+/+/telemetry")
        for number in range(5):
            device.publish(f"t/{DEVICE}/telemetry", str(number))
        first, second, *_ = ingest.messages(5)
        ingest.ack(first)
        ingest.ack(second)
        # The acknowledgements reach the broker before the connection is lost.
        assert ingest.is_quiet(0.2)
        device.publish(f"t/{DEVICE}/telemetry", "5")
        ingest.messages(1)
        ingest.drop()
        device.publish(f"t/{DEVICE}/telemetry", "6")

    with either_broker.ingest() as again:
        messages = again.messages(5)
        assert again.session_present
        assert [message.payload for message in messages] == [b"2", b"3", b"4", b"5", b"6"]
        # The last one, too, if the broker tried before it saw that the connection was gone.
        assert [message.dup for message in messages[:4]] == [True] * 4


def test_qos_2_publication_arrives_once(either_broker: RunningBroker) -> None:
    """A device may publish with QoS 2, whichever broker runs."""
    with either_broker.ingest() as ingest, either_broker.client(DEVICE) as device:
        ingest.subscribe("t/+/+/telemetry")

        device.publish(f"t/{DEVICE}/telemetry", b"once", qos=2)

        assert ingest.payloads_until_quiet() == [b"once"]


@pytest.mark.slow
def test_acknowledgement_may_come_late(either_broker: RunningBroker) -> None:
    """A message acknowledged after 6 s was not forgotten meanwhile, and is not sent again."""
    with either_broker.client(DEVICE) as device:
        ingest = either_broker.ingest().connect()
        ingest.subscribe("t/+/+/telemetry")
        device.publish(f"t/{DEVICE}/telemetry", b"acked")
        device.publish(f"t/{DEVICE}/telemetry", b"not acked")
        acked, _ = ingest.messages(2)

        assert ingest.is_quiet(6.0)
        ingest.ack(acked)
        assert ingest.is_quiet(0.2)
        ingest.drop()

    with either_broker.ingest() as again:
        assert again.received(1) == [b"not acked"]
        assert again.is_quiet()


def test_many_messages_may_be_unacknowledged(either_broker: RunningBroker) -> None:
    """2,000 messages in flight arrive without one acknowledgement, and again after a reconnect."""
    count = 2_000
    with either_broker.client(DEVICE) as device:
        ingest = either_broker.ingest().connect()
        ingest.subscribe("t/+/+/telemetry")
        for number in range(count):
            sent = device.paho.publish(f"t/{DEVICE}/telemetry", str(number), qos=1)
        sent.wait_for_publish(20)
        expected = [str(number).encode() for number in range(count)]

        assert ingest.received(count, timeout_s=20) == expected
        ingest.drop()

    with either_broker.ingest() as again:
        assert again.received(count, timeout_s=20) == expected


def test_messages_for_an_absent_gateway_wait(either_broker: RunningBroker) -> None:
    """A persistent session collects while its client is away."""
    with either_broker.ingest() as ingest:
        ingest.subscribe("t/+/+/telemetry")

    with either_broker.client(DEVICE) as device:
        for number in range(100):
            device.publish(f"t/{DEVICE}/telemetry", str(number))

    with either_broker.ingest() as ingest:
        assert ingest.received(100) == [str(number).encode() for number in range(100)]
