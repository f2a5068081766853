"""MessagePack decoded slowly, with an eye on names: for payloads in which one may stand twice.

Only for bytes that a real decoder has found valid. Pure.
"""

import struct
from collections.abc import Callable
from typing import Any

from wire.codecs.checks import MAX_DEPTH
from wire.codecs.telemetry import Twice
from wire.errors import Malformed

_FIXMAP, _FIXARRAY, _FIXSTR, _NIL, _NEGATIVE = 0x80, 0x90, 0xA0, 0xC0, 0xE0
_SIMPLE: dict[int, Any] = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_FIXEXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def decoded_with_names(payload: bytes) -> tuple[Any, bool]:
    """Return what a valid payload holds, and whether a name stands twice in one of its objects.

    Such an object comes as `Twice`; a timestamp or another extension comes as its bytes.

    Raises:
        Malformed: it is nested deeper than `MAX_DEPTH`, or a name is a list or an object.
    """
    reader = _Reader(payload)
    return reader.value(0), reader.has_twice


class _Reader:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0
        self.has_twice = False

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Malformed(f"payload is nested deeper than {MAX_DEPTH} levels")
        head = self.length(1)
        if head < _FIXMAP:
            return head
        if head < _FIXARRAY:
            return self.map(head - _FIXMAP, depth)
        if head < _FIXSTR:
            return self.array(head - _FIXARRAY, depth)
        if head < _NIL:
            return self.text(head - _FIXSTR)
        if head >= _NEGATIVE:
            return head - 256
        return self.sized(head, depth)

    def sized(self, head: int, depth: int) -> Any:
        if head in _SIMPLE:
            return _SIMPLE[head]
        if head in _NUMBERS:
            layout = _NUMBERS[head]
            return struct.unpack(layout, self.bytes(struct.calcsize(layout)))[0]
        if head in _FIXEXT:
            return self.bytes(_FIXEXT[head] + 1)
        read, width = _READERS[head]
        return read(self, self.length(width), depth)

    def map(self, size: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in range(size):
            name = self.value(depth + 1)
            if isinstance(name, list | dict):
                raise Malformed("payload has a name that is a list or an object")
            found[name] = self.value(depth + 1)
        if len(found) == size:
            return found
        self.has_twice = True
        return Twice(found)

    def array(self, size: int, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(size)]

    def text(self, size: int, _depth: int = 0) -> str:
        return self.bytes(size).decode(errors="replace")

    def binary(self, size: int, _depth: int) -> bytes:
        return self.bytes(size)

    def extension(self, size: int, _depth: int) -> bytes:
        return self.bytes(size + 1)

    def length(self, width: int) -> int:
        return int.from_bytes(self.bytes(width), "big")

    def bytes(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        return self._payload[start : self._at]


_READERS: dict[int, tuple[Callable[[_Reader, int, int], Any], int]] = {
    0xC4: (_Reader.binary, 1),
    0xC5: (_Reader.binary, 2),
    0xC6: (_Reader.binary, 4),
    0xC7: (_Reader.extension, 1),
    0xC8: (_Reader.extension, 2),
    0xC9: (_Reader.extension, 4),
    0xD9: (_Reader.text, 1),
    0xDA: (_Reader.text, 2),
    0xDB: (_Reader.text, 4),
    0xDC: (_Reader.array, 2),
    0xDD: (_Reader.array, 4),
    0xDE: (_Reader.map, 2),
    0xDF: (_Reader.map, 4),
}
