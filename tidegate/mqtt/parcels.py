"""Frames of streams as they travel between processes: msgpack with a version in front. Pure."""

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

from tidegate.store.model import Frame

ROOT = "tidegate/streams"
MAX_FRAMES = 256
MAX_DATA_BYTES = 256 * 1024
"""What is larger is left to the log: a broker may refuse large messages."""


class Parcel(msgspec.Struct, array_like=True, frozen=True):
    """Frames that one process has committed; `sender` is that process."""

    version: Literal[1]
    sender: Annotated[str, msgspec.Meta(max_length=64)]
    frames: Annotated[tuple[Frame, ...], msgspec.Meta(max_length=MAX_FRAMES)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parcel)


def encode(sender: str, frames: Sequence[Frame]) -> bytes:
    """Pack frames."""
    return _encoder.encode(Parcel(1, sender, tuple(frames)))


def decode(payload: bytes) -> Parcel | None:
    """Unpack what came, None for what is no parcel: it may come from anybody."""
    try:
        parcel = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
        return None
    return parcel if all(frame.seq > 0 for frame in parcel.frames) else None


def topic(realm: str) -> str:
    """Return the topic of a realm: the processes that share a database. It is one level."""
    return f"{ROOT}/{quote(realm, safe='')}"
