"""How one record lies in a file: a header with everything needed to check it, then its body. Pure.

    magic 8 | id 8 | written (Unix ms) 8 | readings 4 | census length 4 | contents length 4 |
    BLAKE2b-128 over the header before it and the body 16 | census | contents

Numbers are big-endian. The magic names the layout's version; behind a damaged place it is where
reading goes on. The checksum has a key that each file has of its own, in its name: a payload
that looks like a record, which reading might come upon there, is none.
"""

import struct
from hashlib import blake2b
from typing import NamedTuple

MAGIC = b"\xf5TGSPL1\n"
_FIELDS = struct.Struct(">8sQQIII")
_CHECK_BYTES = 16
HEADER_BYTES = _FIELDS.size + _CHECK_BYTES
# A batch is far smaller (the inbox holds 64 MiB): a length above this is damage.
MAX_BODY_BYTES = 512 * 1024 * 1024


class Header(NamedTuple):
    """A record's header: its number, when it was written, and the lengths of its parts."""

    record_id: int
    written_ms: int
    readings: int
    census_bytes: int
    contents_bytes: int
    check: bytes

    @property
    def body_bytes(self) -> int:
        """Return the length of what follows the header."""
        return self.census_bytes + self.contents_bytes


class Draft(NamedTuple):
    """A record that has no place yet: its parts, packed."""

    census: bytes
    contents: bytes
    readings: int

    @property
    def size_bytes(self) -> int:
        """Return what the record takes in a file."""
        return HEADER_BYTES + len(self.census) + len(self.contents)


def framed(draft: Draft, record_id: int, *, written_ms: int, key: bytes) -> bytes:
    """Return a record as it lies in the file of that key."""
    census, contents, readings = draft
    fields = _FIELDS.pack(MAGIC, record_id, written_ms, readings, len(census), len(contents))
    return b"".join([fields, _check(key, fields, census, contents), census, contents])


def header_of(data: bytes) -> Header | None:
    """Return the header at the start of `data`, None when there is none."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    _, record_id, written_ms, readings, census_bytes, contents_bytes = _FIELDS.unpack_from(data)
    check = data[_FIELDS.size : HEADER_BYTES]
    header = Header(record_id, written_ms, readings, census_bytes, contents_bytes, check)
    return None if header.body_bytes > MAX_BODY_BYTES else header


def is_whole(header: Header, body: bytes, *, key: bytes) -> bool:
    """Return whether header and body are what was written."""
    fields = _FIELDS.pack(MAGIC, *header[:-1])
    return len(body) == header.body_bytes and _check(key, fields, body) == header.check


def _check(key: bytes, *parts: bytes) -> bytes:
    digest = blake2b(digest_size=_CHECK_BYTES, key=key)
    for part in parts:
        digest.update(part)
    return digest.digest()
