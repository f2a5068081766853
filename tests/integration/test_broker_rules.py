"""Both brokers keep the same rules: who may connect, write and read, and what is not lost."""

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio.from_thread
import paho.mqtt.client as paho
import pytest

from broker.accounts import INGEST_USERNAME, Account, hash_password
from broker.installed import Program, ask_version, find_program
from broker.mosquitto import run_mosquitto
from broker.port import Broker, BrokerKind
from broker.run import run_broker
from tests.support.broker_clients import Client

DEVICE = "acme/pump-1"
OTHER = "acme/pump-2"
PASSWORD = "geheim"


def account(username: str, password: str = PASSWORD) -> Account:
    """Make an account."""
    return Account(username, hash_password(password))


ACCOUNTS = [account(INGEST_USERNAME), account(DEVICE), account(OTHER)]


class Running(NamedTuple):
    """A broker that runs in a thread of its own."""

    broker: Broker
    portal: anyio.from_thread.BlockingPortal
    port: int
    folder: Path

    def client(self, username: str, **options: Any) -> Client:
        """Make a client with the right password."""
        return Client(self.port, username, options.pop("password", PASSWORD), **options)

    def ingest(self, **options: Any) -> Client:
        """Make the gateway's client: a persistent session, acknowledged by hand."""
        return self.client(INGEST_USERNAME, clean=False, manual_ack=True, **options)

    def set_accounts(self, accounts: list[Account]) -> None:
        """Give the broker other accounts."""
        self.portal.call(self.broker.set_accounts, accounts)


def _require_mosquitto() -> str:
    path = find_program()
    if path is None and os.environ.get("CI"):
        pytest.fail("mosquitto is not installed")
    if path is None:
        pytest.skip("mosquitto is not installed")
    return path


def _as_2_1(path: str) -> Program:
    """Pretend that Mosquitto is 2.1, so that the rules are written out for every account."""

    async def ask() -> Program:
        return await ask_version(path)

    return Program(anyio.run(ask).path, "2.1.0")


@contextmanager
def _run(kind: str, folder: Path, port: int) -> Iterator[Running]:
    where: dict[str, Any] = {"host": "127.0.0.1", "port": port, "folder": folder}
    path = None if kind == "amqtt" else _require_mosquitto()
    if kind == "mosquitto-acl-written-out" and path:
        folder.mkdir()
        manager: Any = run_mosquitto(_as_2_1(path), accounts=ACCOUNTS, **where)
    else:
        name: BrokerKind = "amqtt" if kind == "amqtt" else "mosquitto"
        manager = run_broker(name, accounts=ACCOUNTS, **where)
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
        broker = stack.enter_context(portal.wrap_async_context_manager(manager))
        yield Running(broker, portal, port, folder)


@pytest.fixture(params=["mosquitto", "amqtt"])
def running(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Running]:
    """Run each broker in turn, with the gateway's and two devices' accounts."""
    with _run(request.param, tmp_path / "the broker", free_port) as broker:
        yield broker


@pytest.fixture(params=["mosquitto", "mosquitto-acl-written-out", "amqtt"])
def ruling(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Running]:
    """Run each broker, and Mosquitto with the rules as it gets them from 2.1 on."""
    with _run(request.param, tmp_path / "the broker", free_port) as broker:
        yield broker


def test_anonymous_client_is_refused(running: Running) -> None:
    """Without a user name nobody gets in."""
    client = Client(running.port, client_id="somebody").connect()

    assert client.refused


@pytest.mark.parametrize(("username", "password"), [(DEVICE, "wrong"), ("acme/none", PASSWORD)])
def test_wrong_credentials_are_refused(running: Running, username: str, password: str) -> None:
    """A wrong password and an unknown name get the same answer."""
    client = Client(running.port, username, password).connect()

    assert client.refused == "Not authorized"


@pytest.mark.parametrize("channel", ["telemetry", "status", "event", "cmd/result", "twin/reported"])
def test_device_writes_its_own_channels(ruling: Running, channel: str) -> None:
    """What a device publishes on its own channels reaches the gateway."""
    with ruling.ingest() as ingest, ruling.client(DEVICE) as device:
        ingest.subscribe(f"t/+/+/{channel}")

        device.publish(f"t/{DEVICE}/{channel}", b"hello")

        [message] = ingest.messages(1)
        assert (message.topic, message.payload) == (f"t/{DEVICE}/{channel}", b"hello")


@pytest.mark.parametrize(
    "topic",
    [
        f"t/{OTHER}/telemetry",
        f"t/{DEVICE}/ack",
        f"t/{DEVICE}/cmd",
        f"t/{DEVICE}/twin/desired",
        f"t/{DEVICE}/other",
        "t/acme/telemetry",
        "elsewhere",
    ],
)
def test_device_cannot_write_elsewhere(ruling: Running, topic: str) -> None:
    """Another's topic, its own acknowledgement and unknown channels are not passed on."""
    with ruling.ingest() as ingest, ruling.client(DEVICE) as device:
        ingest.subscribe("#")
        ingest.subscribe("t/#")

        device.publish(topic, b"forged")
        device.publish(f"t/{DEVICE}/telemetry", b"honest")

        assert ingest.received(1) == [b"honest"]


def test_device_reads_only_what_is_meant_for_it(ruling: Running) -> None:
    """It gets its acknowledgement and commands; nobody's telemetry, nothing of another."""
    with (
        ruling.ingest() as ingest,
        ruling.client(DEVICE) as device,
        ruling.client(OTHER) as other,
    ):
        for topic_filter in ("#", "t/#", f"t/{OTHER}/#", "t/+/+/ack", f"t/{DEVICE}/#", "$SYS/#"):
            device.subscribe(topic_filter)
        other.publish(f"t/{OTHER}/telemetry", b"not yours")
        device.publish(f"t/{DEVICE}/telemetry", b"your own")
        ingest.publish(f"t/{OTHER}/ack", b"not yours")
        ingest.publish(f"t/{DEVICE}/cmd", b"yours")

        # Once, or once for each subscription that matches: MQTT leaves that to the broker.
        assert set(device.payloads_until_quiet()) == {b"yours"}


def test_gateway_cannot_write_for_a_device(ruling: Running) -> None:
    """The gateway's account acknowledges and commands; it does not make up telemetry."""
    with ruling.ingest() as ingest:
        ingest.subscribe("t/#")

        ingest.publish(f"t/{DEVICE}/telemetry", b"made up")
        ingest.publish(f"t/{DEVICE}/ack", b"ack")

        assert ingest.received(1) == [b"ack"]


def test_gateway_may_be_a_sparkplug_host(ruling: Running) -> None:
    """Its state is retained and passed on; a device cannot pretend to be a node."""
    topic = "spBv1.0/STATE/tidegate"
    with ruling.ingest() as ingest, ruling.client(DEVICE) as device:
        ingest.publish(topic, b"online", retain=True)
        ingest.subscribe(topic)
        ingest.subscribe("spBv1.0/+/NDATA/+")

        device.publish("spBv1.0/acme/NDATA/pump-1", b"forged")

        [message] = ingest.messages(1)
        assert (message.topic, message.payload, message.retain) == (topic, b"online", True)
        assert ingest.is_quiet()


def test_retained_status_of_others_is_not_shown(running: Running) -> None:
    """A retained message reaches whoever may read its topic, and no other."""
    with running.client(OTHER) as other:
        other.publish(f"t/{OTHER}/status", b"online", retain=True)

    with running.ingest() as ingest, running.client(DEVICE) as device:
        ingest.subscribe("t/+/+/status")
        device.subscribe("t/#")
        device.subscribe(f"t/{OTHER}/status")

        [status] = ingest.messages(1)
        assert (status.payload, status.retain) == (b"online", True)
        assert device.is_quiet()


def test_last_will_is_sent_when_the_connection_is_lost(running: Running) -> None:
    """The gateway learns that a device vanished."""
    with running.ingest() as ingest:
        ingest.subscribe("t/+/+/status")
        device = running.client(DEVICE, will=(f"t/{DEVICE}/status", b"offline")).connect()

        device.drop()

        assert ingest.received(1) == [b"offline"]


def test_no_last_will_after_a_goodbye(running: Running) -> None:
    """A device that disconnects properly leaves no will."""
    with running.ingest() as ingest:
        ingest.subscribe("t/+/+/status")

        with running.client(DEVICE, will=(f"t/{DEVICE}/status", b"offline")):
            pass

        assert ingest.is_quiet()


def test_last_will_obeys_the_rules(ruling: Running) -> None:
    """A will on another's topic is not sent."""
    with ruling.ingest() as ingest:
        ingest.subscribe("t/#")
        device = ruling.client(DEVICE, will=(f"t/{OTHER}/telemetry", b"forged")).connect()

        device.drop()

        assert ingest.is_quiet()


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_queue_survives_a_thief_of_the_client_id(
    running: Running, *, clean: bool, password: str
) -> None:
    """A device that connects as the gateway's client id neither gets nor destroys its queue."""
    with running.ingest() as ingest:
        ingest.subscribe("t/+/+/telemetry")
    with running.client(DEVICE) as device:
        device.publish(f"t/{DEVICE}/telemetry", b"precious")

    thief = running.client(OTHER, password=password, client_id=INGEST_USERNAME, clean=clean)
    thief.connect()
    stolen = not thief.is_quiet()
    thief.drop()

    with running.ingest() as ingest:
        assert ingest.session_present
        assert ingest.received(1) == [b"precious"]
    assert not stolen


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_live_gateway_is_not_pushed_out(running: Running, password: str) -> None:
    """Connecting with the gateway's client id leaves its connection alone."""
    with running.ingest() as ingest, running.client(DEVICE) as device:
        ingest.subscribe("t/+/+/telemetry")
        thief = running.client(OTHER, password=password, client_id=INGEST_USERNAME).connect()

        device.publish(f"t/{DEVICE}/telemetry", b"still here")

        assert ingest.received(1) == [b"still here"]
        assert not ingest.gone.is_set()
        thief.drop()


def test_second_connection_of_a_device_replaces_the_first(running: Running) -> None:
    """A device that comes back before its old connection is noticed dead is served."""
    with running.ingest() as ingest:
        first = running.client(DEVICE, clean=False).connect()
        with running.client(DEVICE, clean=False) as second:
            second.subscribe(f"t/{DEVICE}/cmd")

            ingest.publish(f"t/{DEVICE}/cmd", b"go")

            assert second.received(1) == [b"go"]
            assert first.gone.wait(5)


def test_new_account_works_at_once_beside_a_live_session(ruling: Running) -> None:
    """Adding an account takes effect within a second and disturbs nobody."""
    with ruling.ingest() as ingest, ruling.client(DEVICE) as device:
        ingest.subscribe("t/#")

        ruling.set_accounts([*ACCOUNTS, account("acme/new")])
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(anyio.sleep, 1.0)

        with ruling.client("acme/new") as new:
            new.publish("t/acme/new/telemetry", b"new")
        device.publish(f"t/{DEVICE}/telemetry", b"old")
        assert ingest.received(2) == [b"new", b"old"]
        assert not ingest.gone.is_set()
        assert not device.gone.is_set()


def test_client_of_a_removed_account_is_disconnected(running: Running) -> None:
    """Taking an account away ends its connection and keeps it out."""
    with running.ingest() as ingest, running.client(DEVICE) as device:
        running.set_accounts([one for one in ACCOUNTS if one.username != DEVICE])

        assert device.gone.wait(5)
        assert running.client(DEVICE).connect().refused
        assert not ingest.gone.is_set()


def test_unacknowledged_messages_come_again_after_a_reconnect(running: Running) -> None:
    """What the gateway did not acknowledge is sent again, in order, and only that."""
    with running.client(DEVICE) as device:
        ingest = running.ingest().connect()
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

    with running.ingest() as again:
        messages = again.messages(5)
        assert again.session_present
        assert [message.payload for message in messages] == [b"2", b"3", b"4", b"5", b"6"]
        # The last one, too, if the broker tried before it saw that the connection was gone.
        assert [message.dup for message in messages[:4]] == [True] * 4


def test_qos_2_publication_arrives_once(running: Running) -> None:
    """A device may publish with QoS 2, whichever broker runs."""
    with running.ingest() as ingest, running.client(DEVICE) as device:
        ingest.subscribe("t/+/+/telemetry")

        device.publish(f"t/{DEVICE}/telemetry", b"once", qos=2)

        assert ingest.payloads_until_quiet() == [b"once"]


@pytest.mark.slow
def test_acknowledgement_may_come_late(running: Running) -> None:
    """A message acknowledged after 6 s was not forgotten meanwhile, and is not sent again."""
    with running.client(DEVICE) as device:
        ingest = running.ingest().connect()
        ingest.subscribe("t/+/+/telemetry")
        device.publish(f"t/{DEVICE}/telemetry", b"acked")
        device.publish(f"t/{DEVICE}/telemetry", b"not acked")
        acked, _ = ingest.messages(2)

        assert ingest.is_quiet(6.0)
        ingest.ack(acked)
        assert ingest.is_quiet(0.2)
        ingest.drop()

    with running.ingest() as again:
        assert again.received(1) == [b"not acked"]
        assert again.is_quiet()


def test_many_messages_may_be_unacknowledged(running: Running) -> None:
    """2,000 messages in flight arrive without one acknowledgement, and again after a reconnect."""
    count = 2_000
    with running.client(DEVICE) as device:
        ingest = running.ingest().connect()
        ingest.subscribe("t/+/+/telemetry")
        for number in range(count):
            sent = device.paho.publish(f"t/{DEVICE}/telemetry", str(number), qos=1)
        sent.wait_for_publish(20)
        expected = [str(number).encode() for number in range(count)]

        assert ingest.received(count, timeout_s=20) == expected
        ingest.drop()

    with running.ingest() as again:
        assert again.received(count, timeout_s=20) == expected


def test_messages_for_an_absent_gateway_wait(running: Running) -> None:
    """A persistent session collects while its client is away."""
    with running.ingest() as ingest:
        ingest.subscribe("t/+/+/telemetry")

    with running.client(DEVICE) as device:
        for number in range(100):
            device.publish(f"t/{DEVICE}/telemetry", str(number))

    with running.ingest() as ingest:
        assert ingest.received(100) == [str(number).encode() for number in range(100)]


def test_packet_over_the_limit_ends_only_its_own_connection(running: Running) -> None:
    """A packet of more than 2 MiB is refused; others are served on."""
    with running.ingest() as ingest, running.client(OTHER) as other:
        ingest.subscribe("t/#")
        device = running.client(DEVICE).connect()

        device.paho.publish(f"t/{DEVICE}/telemetry", b"x" * 2_200_000, qos=1)

        assert device.gone.wait(5)
        other.publish(f"t/{OTHER}/telemetry", b"fine")
        assert ingest.received(1) == [b"fine"]


def test_mqtt5_client_is_served_or_told(running: Running) -> None:
    """A broker that knows only MQTT 3.1.1 says so in words that an MQTT 5 client understands."""
    client = running.client(DEVICE, protocol=paho.MQTTv5).connect()

    expected = None if running.broker.supports_mqtt5 else "Unsupported protocol version"
    assert client.refused == expected
    client.drop()


@pytest.mark.slow
def test_silent_client_is_given_up(running: Running) -> None:
    """After one and a half keepalives of silence the last will is sent."""
    connect = bytes.fromhex("00044d51545404c6000100")  # user, password, will of QoS 0, 1 s
    parts = (DEVICE, f"t/{DEVICE}/status", "offline", DEVICE, PASSWORD)
    fields = [len(part).to_bytes(2, "big") + part.encode() for part in parts]
    body = connect[:-1] + b"".join(fields)
    with running.ingest() as ingest, socket.create_connection(("127.0.0.1", running.port)) as mute:
        ingest.subscribe("t/+/+/status")
        mute.sendall(b"\x10" + bytes([len(body)]) + body)
        assert mute.recv(4) == b"\x20\x02\x00\x00"

        # Mosquitto looks every 5 s.
        assert ingest.received(1, timeout_s=12) == [b"offline"]


def test_client_that_does_not_read_delays_only_itself(running: Running) -> None:
    """20 MB for a client that never reads hold up neither other clients nor the broker's end."""
    subscribe = bytes.fromhex("820800010003742f2300")  # packet 1: t/#, QoS 0
    with running.client(DEVICE) as device, _raw_client(running.port, INGEST_USERNAME) as mute:
        mute.sendall(subscribe)
        for _ in range(40):
            device.publish(f"t/{DEVICE}/telemetry", b"x" * 500_000)

        with running.client(OTHER) as other:
            other.publish(f"t/{OTHER}/telemetry", b"fine")


def test_client_that_does_not_read_its_acknowledgements_is_not_read_on(running: Running) -> None:
    """A flood of publications without reading answers neither ends the broker nor stops others."""
    topic = f"t/{DEVICE}/telemetry".encode()
    publish = len(topic).to_bytes(2, "big") + topic + b"\x00\x01x"
    packet = b"\x32" + bytes([len(publish)]) + publish
    with _raw_client(running.port, DEVICE) as flood, running.client(OTHER) as other:
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
def test_garbage_harms_nobody(running: Running, garbage: bytes) -> None:
    """Whatever a stranger sends, others are served on."""
    with running.ingest() as ingest, running.client(DEVICE) as device:
        ingest.subscribe("t/#")
        with socket.create_connection(("127.0.0.1", running.port)) as stranger:
            stranger.sendall(garbage)

            device.publish(f"t/{DEVICE}/telemetry", b"fine")

            assert ingest.received(1) == [b"fine"]
