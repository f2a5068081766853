"""Values as JSON that every client can read, or a clear refusal. Pure."""

from typing import Any

import msgspec


def _plain(value: Any) -> Any:
    """Encode what msgspec does not know: a pydantic model as its fields."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"a {type(value).__name__} cannot be told as JSON")


def encode(value: Any) -> bytes:
    """Encode a value as JSON: decimals as exact numbers, datetimes as ISO 8601.

    Raises:
        TypeError: it holds what is no JSON.
        ValueError: it holds a decimal that JSON has not: `NaN`, an infinity, a key.
    """
    content = _encode(value)
    try:
        # The encoder writes decimals unseen; to look over the text costs half as much again.
        _look_over(content)
    except msgspec.DecodeError as exc:
        raise ValueError(
            f"a decimal that is no JSON number or a key cannot be sent: {exc}"
        ) from exc
    return content


_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=_plain).encode
_look_over = msgspec.json.Decoder(msgspec.Raw).decode
