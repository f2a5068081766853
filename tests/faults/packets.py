"""The few MQTT 3.1.1 packets that the fault suite's publisher speaks. Pure."""

import struct
from collections.abc import Iterator

CONNACK, PUBACK, PUBLISH = 0x20, 0x40, 0x30
_MAX_BYTES = 10_000
PINGREQ = b"\xc0\x00"


class Broken(ValueError):
    """The bytes are not MQTT."""


def connect(client_id: str, *, keepalive_s: int) -> bytes:
    """Return a CONNECT with a clean session."""
    body = b"\x00\x04MQTT\x04\x02" + struct.pack(">H", keepalive_s) + _text(client_id.encode())
    return b"\x10" + length(len(body)) + body


def subscribe(topic_filter: str) -> bytes:
    """Return a SUBSCRIBE at QoS 0."""
    body = b"\xff\xff" + _text(topic_filter.encode()) + b"\x00"
    return b"\x82" + length(len(body)) + body


def publish(topic: bytes, mid: int, payload: bytes) -> bytes:
    """Return a PUBLISH at QoS 1."""
    size = len(topic) + len(payload) + 4
    head = length(size) + struct.pack(">H", len(topic))
    return b"".join((b"\x32", head, topic, struct.pack(">H", mid), payload))


def taken(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole packets off the beginning of `data`: (first byte, body); raise `Broken`."""
    while len(data) >= 2:
        size, at = 0, 1
        while True:
            if at >= len(data):
                return
            if at > 4:
                raise Broken("a length of more than four bytes")
            size |= (data[at] & 0x7F) << (7 * (at - 1))
            at += 1
            if not data[at - 1] & 0x80:
                break
        if size > _MAX_BYTES:
            raise Broken("larger than anything that is said to devices")
        if at + size > len(data):
            return
        packet = data[0], bytes(data[at : at + size])
        del data[: at + size]
        yield packet


def length(value: int) -> bytes:
    """Return a variable length."""
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (128 if value else 0))
        if not value:
            return bytes(encoded)


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text
