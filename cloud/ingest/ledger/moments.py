"""Which readings without a sequence have been seen: by their time and what they said. Pure."""

import struct
from zlib import crc32

import msgspec

from wire.messages import Reading

MAX_MOMENTS = 256
_MAX_INT = 2**63 - 1
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_mark = struct.Struct(">Iq")
_BYTES = _mark.size


class Moments:
    """The readings heard last of one device, `MAX_MOMENTS` at most, as (checksum, time).

    The same time with the same values is the same reading; the same time with other metrics or
    another value is another one. What replaced a reading is not undone when that reading is
    delivered again. A reading costs 12 bytes, and is forgotten after `MAX_MOMENTS` others: should
    it come again then, it is stored once more, which changes nothing, and counted once more.
    """

    __slots__ = ("_marks", "_newest", "count")

    def __init__(self, marks: bytes = b"", *, count: int = 0) -> None:
        self._marks = bytearray(marks)
        self._newest = max((ts for _, ts in _mark.iter_unpack(marks)), default=-_MAX_INT)
        self.count = count

    def add(self, reading: Reading) -> tuple[int, bytes] | None:
        """Note a reading; return its number and mark, None when it was seen before."""
        ts_ms = min(max(reading.ts_ms or 0, -_MAX_INT), _MAX_INT)
        mark = _mark.pack(crc32(_encode((reading.order, reading.values))), ts_ms)
        if ts_ms > self._newest:
            self._newest = ts_ms
        elif self._holds(mark):
            return None
        number = self.count
        at = number % MAX_MOMENTS * _BYTES
        self._marks[at : at + _BYTES] = mark
        self.count = number + 1
        return number, mark

    def _holds(self, mark: bytes) -> bool:
        at = self._marks.find(mark)
        while at >= 0 and at % _BYTES:
            at = self._marks.find(mark, at + 1)
        return at >= 0


def slot_of(number: int) -> int:
    """Return the place of a device's n-th reading: that of the one it makes forgotten."""
    return number % MAX_MOMENTS


def recalled(rows: list[tuple[int, bytes]]) -> Moments:
    """Return the moments of (number, mark) as they were noted, in order of number."""
    if not rows:
        return Moments()
    marks = bytearray(_BYTES * min(rows[-1][0] + 1, MAX_MOMENTS))
    for number, mark in rows:
        at = slot_of(number) * _BYTES
        marks[at : at + _BYTES] = mark
    return Moments(bytes(marks), count=rows[-1][0] + 1)
