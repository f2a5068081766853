"""Fit readings into one message. Pure."""

from typing import NamedTuple

from wire.codecs.json import encode_telemetry
from wire.messages import Reading


class Packed(NamedTuple):
    """The readings that fit, and their payload."""

    readings: list[Reading]
    payload: bytes


def pack(readings: list[Reading], *, boot: str, first: int, max_bytes: int) -> Packed | None:
    """Encode as many of the readings as `max_bytes` allow, oldest first.

    Returns None when not even the oldest one alone fits.
    """
    count = len(readings)
    while count > 0:
        payload = encode_telemetry(readings[:count], boot=boot, first=first)
        if len(payload) <= max_bytes:
            return Packed(readings[:count], payload)
        # By proportion, and always less: a payload of uneven readings takes a second round.
        count = min(count - 1, count * max_bytes // len(payload)) or (1 if count > 1 else 0)
    return None
