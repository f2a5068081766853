"""Values of state and events to bytes and back: JSON-like data, Decimal, dates, bytes. Pure."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.errors import NonRetriable
from tidegate.normalise import as_plain_value, is_model_instance

MAX_VALUE_BYTES = 16 * 1024 * 1024
_DECIMAL, _DATETIME, _DATE = 1, 2, 3
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


def _untagged(code: int, data: memoryview) -> object:
    text = bytes(data).decode()
    if code == _DECIMAL:
        return Decimal(text)
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
        data = _encoder.encode(_tagged(value))
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as exc:
        raise NonRetriable(f"value cannot be stored: {exc}") from exc
    if len(data) > most_bytes:
        raise NonRetriable(f"value of {len(data)} bytes is larger than {most_bytes} bytes")
    return data


def decode(data: bytes) -> Any:
    """Decode what `encode` made; each call gives a copy of its own."""
    return _decoder.decode(data)
