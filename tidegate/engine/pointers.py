"""JSON pointers (RFC 6901) into the data of an event. Pure."""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from tidegate.errors import Misconfigured

_LONGEST = 200
_BAD_ESCAPE = re.compile(r"~(?![01])")


class Pointer:
    """A compiled pointer."""

    def __init__(self, text: str) -> None:
        """Compile; raise `Misconfigured` when it is none: `/tenantId`, `/order/lines/0`."""
        if not text.startswith("/") or _BAD_ESCAPE.search(text):
            raise Misconfigured(f"'{text}' is no JSON pointer, write for example '/tenantId'")
        self._parts = [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]

    def text_in(self, data: Any) -> str | None:
        """Return what stands there as a text that is equal for equal values, None for nothing.

        A long one is cut and told apart by a hash.
        """
        for part in self._parts:
            data = _child(data, part)
            if data is None:
                return None
        return bounded(data if isinstance(data, str) else _text_of(data))


def bounded(text: str) -> str:
    """Return the text, or its beginning and a hash when it is longer than 200 characters."""
    if len(text) <= _LONGEST:
        return text
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{text[: _LONGEST - 40]}#{digest}"


def _text_of(data: Any) -> str:
    try:
        return msgspec.json.encode(data, order="sorted").decode()
    except TypeError:
        return msgspec.json.encode(_with_text_keys(data), order="sorted").decode()


def _with_text_keys(data: Any) -> Any:
    """Return the data with keys that can be sorted; an event's may be of any kind."""
    if isinstance(data, Mapping):
        return {str(key): _with_text_keys(value) for key, value in data.items()}
    return [_with_text_keys(item) for item in data] if isinstance(data, list) else data


def _child(data: Any, part: str) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return data[int(part)] if part.isdecimal() and int(part) < len(data) else None
    return None
