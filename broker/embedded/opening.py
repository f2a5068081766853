"""The first packet of a connection, read whole before amqtt sees any of it.

amqtt waits for it without end, takes any length, and answers MQTT 5 in a form that MQTT 5 clients
do not understand.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable

from amqtt.adapters import StreamReaderAdapter

MAX_PACKET_BYTES = 2 * 1024 * 1024
CONNECT_TIMEOUT_S = 10.0
# CONNACK, reason 0x84 "Unsupported Protocol Version", no properties (MQTT 5.0, 3.2).
UNSUPPORTED_VERSION = bytes((0x20, 0x03, 0x00, 0x84, 0x00))
_CONNECT = 0x10
_MQTT5 = 5
_LENGTH_BYTES = 4
# Name and level of the protocol: length, "MQTT", level.
_HEAD = struct.Struct("!H4sB")


class Unreadable(ValueError):
    """The peer does not speak MQTT, or sends more than we take."""


class Reader(StreamReaderAdapter):  # type: ignore[misc] # amqtt's types are not published
    """Gives amqtt the first packet again, then the stream; bounds the length of each read.

    Before each read it waits at `gate`, if there is one.
    """

    def __init__(self, stream: asyncio.StreamReader, first: bytes) -> None:
        super().__init__(stream)
        self._first = first
        self.gate: Callable[[], Awaitable[None]] | None = None

    async def read(self, n: int = -1) -> bytes:
        """Read exactly `n` bytes.

        Raises:
            Unreadable: more than a packet may have; amqtt then closes the connection.
        """
        if n > MAX_PACKET_BYTES:
            raise Unreadable(f"packet of {n} bytes")
        if self.gate is not None:
            await self.gate()
        if self._first:
            data, self._first = self._first[:n], self._first[n:]
            return data
        return bytes(await super().read(n))


async def read_connect(stream: asyncio.StreamReader) -> bytes:
    """Read one CONNECT packet; the caller bounds the time.

    Raises:
        Unreadable: it is something else, or too long.
        asyncio.IncompleteReadError: the peer hung up.
    """
    packet = bytearray(await stream.readexactly(1))
    if packet[0] != _CONNECT:
        raise Unreadable("not a CONNECT packet")
    length = 0
    for index in range(_LENGTH_BYTES):
        byte = (await stream.readexactly(1))[0]
        packet.append(byte)
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says: another byte follows
            break
    if not _HEAD.size <= length <= MAX_PACKET_BYTES:
        raise Unreadable(f"CONNECT packet of {length} bytes")
    return bytes(packet) + await stream.readexactly(length)


def is_mqtt5(connect: bytes) -> bool:
    """Tell whether a CONNECT packet asks for MQTT 5."""
    body_at = next(index for index in range(1, len(connect)) if connect[index] < 0x80) + 1  # noqa: PLR2004
    _, name, level = _HEAD.unpack_from(connect, body_at)
    return bool(name == b"MQTT" and level == _MQTT5)
