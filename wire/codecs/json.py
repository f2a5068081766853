"""Our JSON payload (`DESIGN`: public surface), acknowledgements and statuses, to and from bytes.

Nearly every payload is well formed, so it is decoded once into typed structs. Only when that
fails, or when a name may stand twice in it, is it looked at again.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from wire.codecs.checks import MAX_PAYLOAD_BYTES, check_size
from wire.codecs.columns import taken_in_columns
from wire.codecs.json_names import decoded_with_names
from wire.codecs.telemetry import (
    Payload,
    identities_in,
    taken_loosely,
)
from wire.errors import Malformed
from wire.messages import Ack, Decoded, Reading, Status, Table

T = TypeVar("T")

_payloads = msgspec.json.Decoder(Payload)
_acks = msgspec.json.Decoder(Ack)
_statuses = msgspec.json.Decoder(Status)


def decode_telemetry(payload: bytes) -> Decoded | Table:
    """Decode a telemetry payload of any of the three shapes; columns as a table where they are one.

    Raises:
        Malformed: the payload as a whole is unusable. A fault of single readings is not
            raised but listed in `refused`, so that it never costs the good ones.
    """
    check_size(payload)
    try:
        raw = _payloads.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        return taken_loosely(decoded_with_names(payload, exc)[0])
    if payload.count(b":") != _names_in(raw) and not _is_explained(payload, raw):
        loose, has_twice = decoded_with_names(payload)
        if has_twice:
            return taken_loosely(loose)
    return taken_in_columns(raw)


def identities(payload: bytes) -> dict[int, tuple[str, int]]:
    """Return index → (boot, seq) of the readings of a faulty payload, as far as it shows them.

    A payload that is too large shows none: reading it is what the limit forbids.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        return {}
    try:
        return identities_in(decoded_with_names(payload)[0])
    except Malformed:
        return {}


def encode_telemetry(readings: list[Reading], *, boot: str, first: int | None = None) -> bytes:
    """Encode readings of one boot as a batch; `first` as in `Decoded`."""
    points = [
        {"ts": reading.ts_ms, "seq": reading.seq, "values": reading.values} for reading in readings
    ]
    batch: dict[str, object] = {"boot": boot, "points": points}
    if first is not None:
        batch["first"] = first
    return msgspec.json.encode(batch)


def decode_ack(payload: bytes) -> Ack:
    """Decode an end-to-end acknowledgement; raise `Malformed`."""
    return _decode(_acks, payload)


def decode_status(payload: bytes) -> Status:
    """Decode a birth or last will; raise `Malformed`."""
    return _decode(_statuses, payload)


def encode(message: Ack | Status) -> bytes:
    """Encode an acknowledgement or a status."""
    return msgspec.json.encode(message)


def _decode(decoder: "msgspec.json.Decoder[T]", payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed(f"payload is not valid: {exc}") from exc


def _names_in(raw: Payload) -> int:
    """Return how many names the decoder has seen that it also kept.

    Each has its colon: when a payload has no more colons than that, no name stands twice.
    """
    found = (raw.ts is not None) + (raw.boot is not None)
    found += (raw.seq is not None) + (raw.first is not None)
    if raw.values is not None:
        found += 1 + len(raw.values)
    if raw.points is not None:
        found += 1
        for point in raw.points:
            found += 1 + len(point.values) + (point.ts is not None) + (point.seq is not None)
    return found


def _is_explained(payload: bytes, raw: Payload) -> bool:
    """Return whether texts account for the other colons; with escapes in them, nobody knows."""
    if b"\\" in payload:
        return False
    in_texts = sum(text.count(":") for text in _texts_in(raw) if isinstance(text, str))
    return payload.count(b":") == _names_in(raw) + in_texts


def _texts_in(raw: Payload) -> Iterator[object]:
    yield raw.boot
    yield from raw.ts if isinstance(raw.ts, list) else (raw.ts,)
    for name, value in (raw.values or {}).items():
        yield name
        yield from value if isinstance(value, list) else (value,)
    for point in raw.points or ():
        yield point.ts
        yield from point.values
        yield from point.values.values()
