"""The first packet of a connection to the embedded broker."""

import asyncio

import pytest

from broker.embedded.opening import MAX_PACKET_BYTES, Reader, Unreadable, is_mqtt5, read_connect

pytestmark = pytest.mark.anyio

CONNECT_311 = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"


def _stream(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


async def test_read_connect_takes_exactly_the_first_packet() -> None:
    """What follows stays in the stream."""
    stream = _stream(CONNECT_311 + b"\xc0\x00")

    assert await read_connect(stream) == CONNECT_311
    assert await stream.read() == b"\xc0\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x30\x0c" + b"x" * 12,
        b"\x10\x00",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\xff\x01",
    ],
)
async def test_read_connect_refuses_anything_else(data: bytes) -> None:
    """Another protocol, another packet, no or too much length: no more is read."""
    with pytest.raises((Unreadable, asyncio.IncompleteReadError)):
        await read_connect(_stream(data))


def test_is_mqtt5_reads_the_protocol_level() -> None:
    """MQTT 5 is recognised; 3.1.1 and other protocols are left to amqtt."""
    assert is_mqtt5(CONNECT_5)
    assert not is_mqtt5(CONNECT_311)
    assert not is_mqtt5(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00")


async def test_reader_gives_the_first_packet_again() -> None:
    """Amqtt reads the CONNECT as if it came from the stream, then the stream."""
    reader = Reader(_stream(b"next"), CONNECT_311)

    assert await reader.read(2) == CONNECT_311[:2]
    assert await reader.read(12) == CONNECT_311[2:]
    assert await reader.read(4) == b"next"


async def test_reader_refuses_a_packet_over_the_limit() -> None:
    """A length that a client merely claims never becomes memory."""
    reader = Reader(_stream(b""), b"")

    with pytest.raises(Unreadable):
        await reader.read(MAX_PACKET_BYTES + 1)
