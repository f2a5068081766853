"""Clients of both brokers that are too large, silent, slow, or speak garbage."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest

from broker.accounts import INGEST_USERNAME
from tests.support.broker_pair import (
    DEVICE,
    OTHER,
    PASSWORD,
    RunningBroker,
)


def test_packet_over_the_limit_ends_only_its_own_connection(either_broker: RunningBroker) -> None:
    """A packet of more than 2 MiB is refused; others are served on."""
    with either_broker.ingest() as ingest, either_broker.client(OTHER) as other:
        ingest.subscribe("t/#")
        device = either_broker.client(DEVICE).connect()

        device.paho.publish(f"t/{DEVICE}/telemetry", b"x" * 2_200_000, qos=1)

        assert device.gone.wait(5)
        other.publish(f"t/{OTHER}/telemetry", b"fine")
        assert ingest.received(1) == [b"fine"]


def test_mqtt5_client_is_served_or_told(either_broker: RunningBroker) -> None:
    """A broker that knows only MQTT 3.1.1 says so in words that an MQTT 5 client understands."""
    client = either_broker.client(DEVICE, protocol=paho.MQTTv5).connect()

    expected = None if either_broker.broker.supports_mqtt5 else "Unsupported protocol version"
    assert client.refused == expected
    client.drop()


@pytest.mark.slow
def test_silent_client_is_given_up(either_broker: RunningBroker) -> None:
    """After one and a half keepalives of silence the last will is sent."""
    connect = bytes.fromhex("00044d51545404c6000100")  # user, password, will of QoS 0, 1 s
    parts = (DEVICE, f"t/{DEVICE}/status", "offline", DEVICE, PASSWORD)
    fields = [len(part).to_bytes(2, "big") + part.encode() for part in parts]
    body = connect[:-1] + b"".join(fields)
    with (
        either_broker.ingest() as ingest,
        socket.create_connection(("127.0.0.1", either_broker.port)) as mute,
    ):
        ingest.subscribe("t/+/+/status")
        mute.sendall(b"\x10" + bytes([len(body)]) + body)
        assert mute.recv(4) == b"\x20\x02\x00\x00"

        # Mosquitto looks every 5 s.
        assert ingest.received(1, timeout_s=12) == [b"offline"]


def test_client_that_does_not_read_delays_only_itself(either_broker: RunningBroker) -> None:
    """20 MB for a client that never reads hold up neither other clients nor the broker's end."""
    subscribe = bytes.fromhex("820800010003742f2300")  # packet 1: t/#, QoS 0
    with (
        either_broker.client(DEVICE) as device,
        _raw_client(either_broker.port, INGEST_USERNAME) as mute,
    ):
        mute.sendall(subscribe)
        for _ in range(40):
            device.publish(f"t/{DEVICE}/telemetry", b"x" * 500_000)

        with either_broker.client(OTHER) as other:
            other.publish(f"t/{OTHER}/telemetry", b"fine")


def test_client_that_does_not_read_its_acknowledgements_is_not_read_on(
    either_broker: RunningBroker,
) -> None:
    """A flood of publications without reading answers neither ends the broker nor stops others."""
    topic = f"t/{DEVICE}/telemetry".encode()
    publish = len(topic).to_bytes(2, "big") + topic + b"\x00\x01x"
    packet = b"\x32" + bytes([len(publish)]) + publish
    with _raw_client(either_broker.port, DEVICE) as flood, either_broker.client(OTHER) as other:
        flood.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                flood.sendall(packet * 1_000)

        other.publish(f"t/{OTHER}/telemetry", b"fine")


@contextmanager
def _raw_client(port: int, username: str) -> Iterator[socket.socket]:
    """Connect a client that reads only when told to."""
    parts = [part.encode() for part in (username, username, PASSWORD)]
    body = bytes.fromhex("00044d51545404c2003c")
    body += b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        yield connection


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f", b"\x10\x02\x00", bytes(64)]
)
def test_garbage_harms_nobody(either_broker: RunningBroker, garbage: bytes) -> None:
    """Whatever a stranger sends, others are served on."""
    with either_broker.ingest() as ingest, either_broker.client(DEVICE) as device:
        ingest.subscribe("t/#")
        with socket.create_connection(("127.0.0.1", either_broker.port)) as stranger:
            stranger.sendall(garbage)

            device.publish(f"t/{DEVICE}/telemetry", b"fine")

            assert ingest.received(1) == [b"fine"]
