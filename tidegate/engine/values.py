"""Values of state and events to bytes and back: JSON-like data, Decimal, dates, bytes. Pure."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.engine.plain import as_plain_value, is_model_instance
from tidegate.errors import NonRetriable

MAX_VALUE_BYTES = 16 * 1024 * 1024
_DECIMAL, _DATETIME, _DATE, _LONG = 1, 2, 3, 4
_LEAST, _MOST = -(2**63), 2**64 - 1
_PLAIN = frozenset({str, int, float, bool, type(None), bytes})


def _tagged(value: Any) -> Any:
    """Wrap what msgpack has no exact type for; msgspec alone would turn it into text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {key: _tagged(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tagged(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _tagged(msgspec.structs.asdict(value))
    return _extension(value)


def _extension(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
    if isinstance(value, datetime):
        return msgspec.msgpack.Ext(_DATETIME, value.isoformat().encode())
    if isinstance(value, date):
        return msgspec.msgpack.Ext(_DATE, value.isoformat().encode())
    if isinstance(value, msgspec.msgpack.Ext):
        # Whoever decodes it could not tell it from ours.
        raise TypeError("a msgpack extension is no value; store its parts")
    if type(value).__module__ == "numpy" or is_model_instance(value):
        return _tagged(as_plain_value(value))
    return value


def _with_long(value: Any) -> Any:
    """Wrap integers beyond 64 bits as well: they are rare, so only who has any pays for it."""
    if isinstance(value, dict):
        return {key: _with_long(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_long(item) for item in value]
    is_long = type(value) is int and not _LEAST <= value <= _MOST
    return msgspec.msgpack.Ext(_LONG, format(value, "x").encode()) if is_long else value


def _untagged(code: int, data: memoryview) -> object:
    text = bytes(data).decode()
    if code == _DECIMAL:
        return Decimal(text)
    if code == _LONG:
        return int(text, 16)
    return datetime.fromisoformat(text) if code == _DATETIME else date.fromisoformat(text)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ext_hook=_untagged)


def encode(value: Any, *, most_bytes: int = MAX_VALUE_BYTES) -> bytes:
    """Encode a value.

    Raises:
        NonRetriable: the value has a type that cannot be kept, or a text that is no Unicode, or
            it is larger than `most_bytes` (16 MiB).
    """
    try:
        data = _encoded(_tagged(value))
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as exc:
        raise NonRetriable(f"value cannot be stored: {exc}") from exc
    if len(data) > most_bytes:
        raise NonRetriable(f"value of {len(data)} bytes is larger than {most_bytes} bytes")
    return data


def _encoded(tagged: Any) -> bytes:
    try:
        return _encoder.encode(tagged)
    except OverflowError:
        return _encoder.encode(_with_long(tagged))


def decode(data: bytes) -> Any:
    """Decode what `encode` made; each call gives a copy of its own."""
    return _decoder.decode(data)
