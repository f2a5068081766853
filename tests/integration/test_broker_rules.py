"""Who may do what at both brokers."""

import anyio.from_thread
import pytest

from tests.support.broker_clients import Client
from tests.support.broker_pair import ACCOUNTS, DEVICE, OTHER, PASSWORD, RunningBroker, account


def test_anonymous_client_is_refused(either_broker: RunningBroker) -> None:
    """Without a user name nobody gets in."""
    client = Client(either_broker.port, client_id="somebody").connect()

    assert client.refused


@pytest.mark.parametrize(("username", "password"), [(DEVICE, "wrong"), ("acme/none", PASSWORD)])
def test_wrong_credentials_are_refused(
    either_broker: RunningBroker, username: str, password: str
) -> None:
    """A wrong password and an unknown name get the same answer."""
    client = Client(either_broker.port, username, password).connect()

    assert client.refused == "Not authorized"


@pytest.mark.parametrize("channel", ["telemetry", "status", "event", "cmd/result", "twin/reported"])
def test_device_writes_its_own_channels(ruling_broker: RunningBroker, channel: str) -> None:
    """What a device publishes on its own channels reaches the gateway."""
    with ruling_broker.ingest() as ingest, ruling_broker.client(DEVICE) as device:
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
def test_device_cannot_write_elsewhere(ruling_broker: RunningBroker, topic: str) -> None:
    """Another's topic, its own acknowledgement and unknown channels are not passed on."""
    with ruling_broker.ingest() as ingest, ruling_broker.client(DEVICE) as device:
        ingest.subscribe("#")
        ingest.subscribe("t/#")

        device.publish(topic, b"forged")
        device.publish(f"t/{DEVICE}/telemetry", b"honest")

        assert ingest.received(1) == [b"honest"]


def test_device_reads_only_what_is_meant_for_it(ruling_broker: RunningBroker) -> None:
    """It gets its acknowledgement and commands; nobody's telemetry, nothing of another."""
    with (
        ruling_broker.ingest() as ingest,
        ruling_broker.client(DEVICE) as device,
        ruling_broker.client(OTHER) as other,
    ):
        for topic_filter in ("#", "t/#", f"t/{OTHER}/#", "t/+/+/ack", f"t/{DEVICE}/#", "$SYS/#"):
            device.subscribe(topic_filter)
        other.publish(f"t/{OTHER}/telemetry", b"not yours")
        device.publish(f"t/{DEVICE}/telemetry", b"your own")
        ingest.publish(f"t/{OTHER}/ack", b"not yours")
        ingest.publish(f"t/{DEVICE}/cmd", b"yours")

        # Once, or once for each subscription that matches: MQTT leaves that to the broker.
        assert set(device.payloads_until_quiet()) == {b"yours"}


def test_gateway_cannot_write_for_a_device(ruling_broker: RunningBroker) -> None:
    """The gateway's account acknowledges and commands; it does not make up telemetry."""
    with ruling_broker.ingest() as ingest:
        ingest.subscribe("t/#")

        ingest.publish(f"t/{DEVICE}/telemetry", b"made up")
        ingest.publish(f"t/{DEVICE}/ack", b"ack")

        assert ingest.received(1) == [b"ack"]


def test_gateway_may_be_a_sparkplug_host(ruling_broker: RunningBroker) -> None:
    """Its state is retained and passed on; a device cannot pretend to be a node."""
    topic = "spBv1.0/STATE/tidegate"
    with ruling_broker.ingest() as ingest, ruling_broker.client(DEVICE) as device:
        ingest.publish(topic, b"online", retain=True)
        ingest.subscribe(topic)
        ingest.subscribe("spBv1.0/+/NDATA/+")

        device.publish("spBv1.0/acme/NDATA/pump-1", b"forged")

        [message] = ingest.messages(1)
        assert (message.topic, message.payload, message.retain) == (topic, b"online", True)
        assert ingest.is_quiet()


def test_retained_status_of_others_is_not_shown(either_broker: RunningBroker) -> None:
    """A retained message reaches whoever may read its topic, and no other."""
    with either_broker.client(OTHER) as other:
        other.publish(f"t/{OTHER}/status", b"online", retain=True)

    with either_broker.ingest() as ingest, either_broker.client(DEVICE) as device:
        ingest.subscribe("t/+/+/status")
        device.subscribe("t/#")
        device.subscribe(f"t/{OTHER}/status")

        [status] = ingest.messages(1)
        assert (status.payload, status.retain) == (b"online", True)
        assert device.is_quiet()


def test_last_will_obeys_the_rules(ruling_broker: RunningBroker) -> None:
    """A will on another's topic is not sent."""
    with ruling_broker.ingest() as ingest:
        ingest.subscribe("t/#")
        device = ruling_broker.client(DEVICE, will=(f"t/{OTHER}/telemetry", b"forged")).connect()

        device.drop()

        assert ingest.is_quiet()


def test_new_account_works_at_once_beside_a_live_session(ruling_broker: RunningBroker) -> None:
    """Adding an account takes effect within a second and disturbs nobody."""
    with ruling_broker.ingest() as ingest, ruling_broker.client(DEVICE) as device:
        ingest.subscribe("t/#")

        ruling_broker.set_accounts([*ACCOUNTS, account("acme/new")])
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(anyio.sleep, 1.0)

        with ruling_broker.client("acme/new") as new:
            new.publish("t/acme/new/telemetry", b"new")
        device.publish(f"t/{DEVICE}/telemetry", b"old")
        assert ingest.received(2) == [b"new", b"old"]
        assert not ingest.gone.is_set()
        assert not device.gone.is_set()


def test_client_of_a_removed_account_is_disconnected(either_broker: RunningBroker) -> None:
    """Taking an account away ends its connection and keeps it out."""
    with either_broker.ingest() as ingest, either_broker.client(DEVICE) as device:
        either_broker.set_accounts([one for one in ACCOUNTS if one.username != DEVICE])

        assert device.gone.wait(5)
        assert either_broker.client(DEVICE).connect().refused
        assert not ingest.gone.is_set()
