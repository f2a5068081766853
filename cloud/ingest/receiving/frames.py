"""MQTT packets as bytes: the few that come by the ten thousand, in bulk. Pure.

An MQTT client library handles one packet a call. Here one pass over everything that a `recv`
returned sorts the messages into columns; whatever is not a message is left to the library.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cloud.ingest.messages import Messages

_PUBLISH_QOS0 = 0x30
_PUBLISH_QOS1 = 0x32
_QOS0 = bytes([_PUBLISH_QOS0])
_MESSAGES = (_PUBLISH_QOS1, _PUBLISH_QOS0)
_TYPE_AND_QOS = 0xF6
_CONTINUES = 0x80
_SEVEN_BITS = 0x7F
_MAX_LENGTH_BYTES = 4
_PUBACK = b"\x40\x02"
# Of an unfinished packet in a `Trickle`'s window.
_LEAST_BYTES = 1_024

# Properties of a PUBLISH (MQTT 5, 3.3.2.3): identifier, or identifier → bytes of its value.
_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION = 0x03, 0x08, 0x09
_SUBSCRIPTION_ID, _USER_PROPERTY = 0x0B, 0x26
_FIXED_BYTES = {0x01: 1, 0x02: 4, 0x23: 2}


class BrokenFrame(ValueError):
    """The bytes are not MQTT; the connection cannot go on."""


@dataclass(slots=True)
class Parsed:
    """What one pass found: messages, other packets (first byte, body), and how much is used.

    `needed` bytes must be there before another pass can get further.
    """

    messages: Messages
    others: list[tuple[int, bytes]]
    used: int = 0
    needed: int = 2


@dataclass(slots=True)
class Trickle:
    """Tells a large packet on a slow line from a length that is wrong.

    With a wrong length we wait for bytes that nobody means to send, while the answers to our
    pings trickle in and keep the connection alive: a packet that is unfinished has to grow.
    """

    window_s: float
    _since_s: float | None = None
    _bytes: int = 0

    def is_stuck(self, arrived_bytes: int, now_s: float) -> bool:
        """Count bytes of an unfinished packet; return whether too few come."""
        if self._since_s is None:
            self._since_s = now_s
        self._bytes += arrived_bytes
        if now_s - self._since_s <= self.window_s:
            return False
        is_stuck = self._bytes < _LEAST_BYTES
        self._since_s, self._bytes = now_s, 0
        return is_stuck

    def end(self) -> None:
        """Note that no packet is unfinished, or another one."""
        self._since_s, self._bytes = None, 0


def parse(data: bytes, *, mqtt5: bool) -> Parsed:
    """Sort all whole packets at the start of `data`; raise `BrokenFrame`."""
    try:
        return _parse(data, mqtt5=mqtt5)
    except IndexError as exc:
        raise BrokenFrame("a message ends inside of its own header") from exc


def _parse(data: bytes, *, mqtt5: bool) -> Parsed:
    found = Parsed(Messages(), [])
    add_topic, add_payload = found.messages.topics.append, found.messages.payloads.append
    add_mid, add_flags = found.messages.mids.append, found.messages.flags.append
    at, size = 0, len(data)
    while at + 2 <= size:
        head, length, body = data[at], data[at + 1], at + 2
        if length & _CONTINUES:
            length, body = _length(data, at + 1)
        end = body + length
        if body < 0 or end > size:
            found.needed = end - at if body > 0 else size - at + 1
            break
        kind = head & _TYPE_AND_QOS
        if kind in _MESSAGES:
            topic_end = body + 2 + (data[body] << 8 | data[body + 1])
            start = topic_end + 2 if kind == _PUBLISH_QOS1 else topic_end
            if mqtt5:
                if data[start] == 0:
                    start += 1
                else:
                    properties, start = start, _after_properties(data, start)
                    _note_content_type(found.messages, data[properties:start])
            if start > end:
                raise BrokenFrame("a message is shorter than its own header says")
            add_topic(data[body + 2 : topic_end])
            add_mid(data[topic_end : topic_end + 2] if kind == _PUBLISH_QOS1 else b"")
            add_payload(data[start:end])
            add_flags(head)
        else:
            found.others.append((head, data[body:end]))
        at = end
    found.used = at
    return found


def pubacks(mids: list[bytes]) -> bytes:
    """Return the acknowledgements of all these messages as one run of bytes."""
    return b"".join([_PUBACK + mid for mid in mids if mid])


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, position behind it) of a variable length, (0, -1) when it is cut off."""
    value = 0
    for index in range(_MAX_LENGTH_BYTES):
        if at + index >= len(data):
            return 0, -1
        byte = data[at + index]
        value |= (byte & _SEVEN_BITS) << (7 * index)
        if not byte & _CONTINUES:
            return value, at + index + 1
    raise BrokenFrame("a length has more than four bytes")


def _note_content_type(messages: Messages, properties: bytes) -> None:
    """Note what the message about to be added says of its payload."""
    content_type = _content_type(properties)
    if content_type:
        messages.content_types[len(messages.payloads)] = content_type


def _content_type(properties: bytes) -> str | None:
    """Return the content type among a PUBLISH's properties (their length first)."""
    at = _after_length(properties, 0)
    while at < len(properties):
        identifier, at = properties[at], at + 1
        if identifier == _CONTENT_TYPE:
            size = int.from_bytes(properties[at : at + 2], "big")
            return properties[at + 2 : at + 2 + size].decode(errors="replace")
        at = _after_property(properties, identifier, at)
    return None


def _after_property(properties: bytes, identifier: int, at: int) -> int:
    """Return where the next property begins; behind one that PUBLISH cannot have, at the end."""
    if identifier in _FIXED_BYTES:
        return at + _FIXED_BYTES[identifier]
    if identifier == _SUBSCRIPTION_ID:
        return _after_length(properties, at)
    strings = {_RESPONSE_TOPIC: 1, _CORRELATION: 1, _USER_PROPERTY: 2}.get(identifier)
    if strings is None:
        return len(properties)
    for _ in range(strings):
        at += 2 + int.from_bytes(properties[at : at + 2], "big")
    return at


def _after_properties(data: bytes, at: int) -> int:
    return _after_length(data, at) + _length(data, at)[0]


def _after_length(data: bytes, at: int) -> int:
    end = _length(data, at)[1]
    if end < 0:
        raise BrokenFrame("a message ends inside of its properties")
    return end


def publishes(messages: Iterable[tuple[str, bytes]], *, mqtt5: bool) -> bytes:
    """Return messages (topic, payload) at QoS 0, not retained, as one run of bytes."""
    no_properties = b"\0" if mqtt5 else b""
    parts: list[bytes] = []
    for topic, payload in messages:
        name = topic.encode()
        length = 2 + len(name) + len(no_properties) + len(payload)
        parts += (_QOS0, _encoded_length(length), len(name).to_bytes(2), name, no_properties)
        parts.append(payload)
    return b"".join(parts)


def _encoded_length(length: int) -> bytes:
    encoded = bytearray()
    while length > _SEVEN_BITS:
        encoded.append(length & _SEVEN_BITS | _CONTINUES)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
