"""Ids of dead events as callers write them, and dead events as they are shown. Pure."""

from typing import Any

from tidegate import HTTPError
from tidegate.engine import values
from tidegate.store.model import DeadLetter

# No id has more digits than the largest of SQLite.
_MOST_DIGITS = 18
CHOICE = {
    "type": "object",
    "properties": {
        "ids": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": 10**_MOST_DIGITS - 1},
            "minItems": 1,
            "maxItems": 1000,
        },
        "all": {"const": True},
    },
    "additionalProperties": False,
    "oneOf": [{"required": ["ids"]}, {"required": ["all"]}],
}
"""The body that says which: `{"ids": [1, 2]}` or `{"all": true}`."""


def nothing_there() -> HTTPError:
    """Return the answer to whoever asks for what is not there."""
    return HTTPError(404, "no such dead event")


def id_of(text: str) -> int:
    """Return an id from a path; what cannot be one is 404."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise nothing_there()
    return int(text)


def shown(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead event as JSON has it."""
    return {**letter._asdict(), "payload": values.decode(letter.payload)}
