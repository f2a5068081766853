"""SenML packs in CBOR (RFC 8428 §6), held to limits before they are resolved. Pure."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

import cbor2

from wire.codecs.checks import MAX_DEPTH, bounded, check_size
from wire.codecs.senml import resolved
from wire.codecs.telemetry import Twice
from wire.errors import Malformed
from wire.messages import Decoded

_LABELS = {
    -6: "bs",
    -5: "bv",
    -4: "bu",
    -3: "bt",
    -2: "bn",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
_FRACTION_PARTS = 2
_MAX_EXPONENT = 400

_OfTag = Callable[[Any, bool], Any]


def decode_cbor(payload: bytes) -> Decoded:
    """Decode a pack in CBOR; raise `Malformed` as `senml.decode_json` does.

    Lengths that the payload only declares cost nothing: no more is read than there is. Of tags
    two are taken, decimal fractions and the mark of CBOR itself.
    """
    check_size(payload)
    stream = BytesIO(payload)
    try:
        pack = cbor2.CBORDecoder(
            stream,
            semantic_decoders=_TAGS,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
        ).decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError) as exc:
        raise Malformed(f"payload is not valid CBOR: {exc.__cause__ or exc}") from exc
    if stream.tell() != len(payload):
        raise Malformed("payload has bytes behind its end")
    return resolved(_labelled(pack))


def _itself(value: Any, _is_immutable: bool) -> Any:  # noqa: FBT001 - the library's signature
    return value


def _fraction(value: Any, _is_immutable: bool) -> float:  # noqa: FBT001 - the library's signature
    """Return exponent and mantissa as a number; both are bounded, so it costs nothing."""
    parts = list(value) if isinstance(value, list | tuple) else []
    if len(parts) != _FRACTION_PARTS or any(type(part) is not int for part in parts):
        raise Malformed("decimal fraction is not [exponent, mantissa]")
    exponent, mantissa = parts
    if abs(exponent) > _MAX_EXPONENT:
        raise Malformed("decimal fraction is out of range")
    return float(f"{mantissa}e{exponent}")


def _labelled(pack: Any) -> Any:
    """Return a pack with the labels of JSON: some senders write these, not the RFC's numbers."""
    if not isinstance(pack, list) or not all(isinstance(one, dict) for one in pack):
        raise Malformed("payload is not a list of SenML records")
    return [_record(one) for one in bounded(pack)]


def _record(raw: dict[Any, Any]) -> dict[str, Any]:
    pairs = [(_label(key), value) for key, value in raw.items()]
    known = [(label, value) for label, value in pairs if label is not None]
    found = dict(known)
    return found if len(found) == len(known) else Twice(found)


def _label(key: Any) -> str | None:
    return _LABELS.get(key) if type(key) is int else key if isinstance(key, str) else None


class _Tags(Mapping[int, _OfTag]):
    """How tags are decoded: all but two are refused, those that the library knows as well."""

    _taken: Mapping[int, _OfTag] = {4: _fraction, 55_799: _itself}

    def __getitem__(self, tag: int) -> _OfTag:
        if tag not in self._taken:
            raise Malformed(f"CBOR tag {tag} is not taken")
        return self._taken[tag]

    def __iter__(self) -> Iterator[int]:
        return iter(self._taken)

    def __len__(self) -> int:
        return len(self._taken)


_TAGS = _Tags()
