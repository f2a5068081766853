"""Our payload in MessagePack: the same three shapes as `wire.codecs.json`, from bytes. Pure."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec

from wire.codecs.checks import MAX_PAYLOAD_BYTES, check_size
from wire.codecs.columns import taken_in_columns
from wire.codecs.msgpack_names import decoded_with_names
from wire.codecs.telemetry import Payload, Point, identities_in, taken_loosely
from wire.errors import Malformed
from wire.messages import Decoded, Table

_payloads = msgspec.msgpack.Decoder(Payload)
_anything = msgspec.msgpack.Decoder()
# Beyond these looking at every byte once is cheaper than looking for every name.
_MAX_NAMES, _MAX_SEARCHED_BYTES = 64, 4_000_000
_FIELDS = Payload.__struct_fields__


def decode_telemetry(payload: bytes) -> Decoded | Table:
    """Decode a telemetry payload of any of the three shapes; raise `Malformed` as JSON does."""
    check_size(payload)
    try:
        raw = _payloads.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        _decoded_loosely(payload, exc)
        return taken_loosely(decoded_with_names(payload)[0])
    if _may_have_twice(payload, raw):
        loose, has_twice = decoded_with_names(payload)
        if has_twice:
            return taken_loosely(loose)
    return taken_in_columns(raw)


def identities(payload: bytes) -> dict[int, tuple[str, int]]:
    """Return index → (boot, seq) of the readings of a faulty payload, as far as it shows them."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return {}
    try:
        return identities_in(_decoded_loosely(payload))
    except Malformed:
        return {}


def _decoded_loosely(payload: bytes, fault: Exception | None = None) -> Any:
    try:
        return _anything.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError) as exc:
        raise Malformed(f"payload is not valid: {fault or exc}") from (fault or exc)


def _may_have_twice(payload: bytes, raw: Payload) -> bool:
    """Return False only when no name stands twice in any object.

    A name that stands twice is in the bytes once more than the decoder has kept it. Names that
    contain each other are accounted for; what texts and numbers hold by chance is not.
    """
    kept: dict[str, int] = {name: 1 for name in _FIELDS if getattr(raw, name) is not None}
    for name in raw.values or ():
        kept[name] = kept.get(name, 0) + 1
    for point in raw.points or ():
        for name in chain(_names_in(point), point.values):
            kept[name] = kept.get(name, 0) + 1
    if len(kept) > _MAX_NAMES or len(kept) * len(payload) > _MAX_SEARCHED_BYTES:
        return True
    encoded = {name.encode(): times for name, times in kept.items()}
    for text, times in encoded.items():
        found = payload.count(text)
        if found != times and found != sum(n * other.count(text) for other, n in encoded.items()):
            return True
    return False


def _names_in(point: Point) -> Iterator[str]:
    yield "values"
    if point.ts is not None:
        yield "ts"
    if point.seq is not None:
        yield "seq"
