"""The frames between a handler's process and its parent: a length, then an encoded dict."""

import struct
from typing import Any

from tidegate.engine import values
from tidegate.errors import NonRetriable

HEADER_BYTES = 4
# More than one value may have: a frame holds whole arguments and answers (`get_group`).
_MOST_BYTES = 256 * 1024 * 1024

Frame = dict[str, Any]


def pack(frame: Frame) -> bytes:
    """Return the bytes of a frame; raise `NonRetriable` when it holds what cannot be sent."""
    data = values.encode(frame, most_bytes=_MOST_BYTES)
    return struct.pack(">I", len(data)) + data


def length_of(header: bytes) -> int:
    """Return how many bytes follow a header; raise `NonRetriable` when it is none."""
    [length] = struct.unpack(">I", header)
    if length > _MOST_BYTES:
        raise NonRetriable(f"a frame of {length} bytes came: does the handler write to stdout?")
    return int(length)


def unpack(data: bytes) -> Frame:
    """Return the frame that stands in the bytes after a header."""
    frame: Frame = values.decode(data)
    return frame
