"""The private names of paho that the bulk client relies on."""

import inspect
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from cloud.ingest.receiving.client import BrokerAccess, BulkClient
from tidegate.configuration import Secret


@pytest.mark.parametrize("name", ["_packet_read", "_packet_queue", "_packet_handle", "_sock_recv"])
def test_client_paho_still_has_what_we_replace(name: str) -> None:
    """A new paho that renames one of these must fail here, not at the broker."""
    assert callable(getattr(Client, name))


def test_client_paho_still_calls_packet_read() -> None:
    """The bulk reading hangs on `loop_read` calling `_packet_read`."""
    assert "self._packet_read()" in inspect.getsource(Client.loop_read)


def test_client_paho_still_has_our_attributes() -> None:
    """What the bulk client sets is what paho reads."""
    client = Client(CallbackAPIVersion.VERSION2)

    assert {"_in_packet", "_out_packet", "_ping_t", "_last_bytes_received"} <= vars(client).keys()
    assert {"command", "packet", "pos", "remaining_length"} <= client._in_packet.keys()


def test_client_acknowledges_by_hand() -> None:
    """Manual acknowledgement is on before anything is connected."""
    client = BulkClient(BrokerAccess("localhost", 1, "ingest", Secret("s")))

    assert client._manual_ack is True


def test_client_without_connection_reads_nothing() -> None:
    """Reading without a socket is an error code, not an exception."""
    client = BulkClient(BrokerAccess("localhost", 1, mqtt5=False))

    assert client._packet_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST


def test_client_gives_up_a_length_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than any packet that we take: it is no packet, and the rest is not waited for."""
    client = BulkClient(BrokerAccess("localhost", 1))
    monkeypatch.setattr(client, "_sock_recv", lambda _size: b"\x32\xff\xff\xff\x7f")

    assert client._packet_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL


def test_client_gives_up_a_packet_that_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to pings are no growth: behind a wrong length they keep us waiting for ever."""
    client = BulkClient(BrokerAccess("localhost", 1, keepalive_s=0))
    said = iter([b"\x32\xff\x7f", b"x" * 2_000, b"\xd0\0", b"\xd0\0", b"\xd0\0"])
    monkeypatch.setattr(client, "_sock_recv", lambda _size: next(said))

    codes = [client._packet_read() for _ in range(5)]

    assert codes[:2] == [MQTTErrorCode.MQTT_ERR_SUCCESS] * 2
    assert MQTTErrorCode.MQTT_ERR_PROTOCOL in codes[2:]


@pytest.mark.parametrize("mqtt5", [True, False])
def test_client_bounds_what_the_broker_may_send(
    monkeypatch: pytest.MonkeyPatch,
    mqtt5: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Unacknowledged messages and the size of one, where the protocol can say it (MQTT 5)."""
    client = BulkClient(BrokerAccess("localhost", 1, mqtt5=mqtt5))
    told: dict[str, Any] = {}
    monkeypatch.setattr(client, "connect", lambda *_, **named: told.update(named))

    client.open(receive_maximum=7)

    properties = told.get("properties")
    assert (properties is not None) == mqtt5
    if properties is not None:
        assert (properties.ReceiveMaximum, properties.MaximumPacketSize) == (7, 4 * 1024 * 1024)
