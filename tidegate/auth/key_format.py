"""The form of an API key: `tg_PREFIX_SECRET`. Pure.

The prefix is public: lists and logs name a key by it. The form is fixed, so that tools that look
for secrets in code can find one.
"""

import hashlib
import re
from typing import NamedTuple

PREFIX_CHARS = 12
SECRET_CHARS = 43
PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + PREFIX_ALPHABET
_FORM = re.compile(rf"tg_([a-z0-9]{{{PREFIX_CHARS}}})_([A-Za-z0-9]{{{SECRET_CHARS}}})")
_PREFIX = re.compile(rf"[a-z0-9]{{{PREFIX_CHARS}}}")


class KeyText(NamedTuple):
    """The parts of an API key; the secret has 256 random bits."""

    prefix: str
    secret: str

    def __str__(self) -> str:
        """Return the key as its owner keeps it."""
        return f"tg_{self.prefix}_{self.secret}"


def parsed(text: str) -> KeyText | None:
    """Return the parts of a key, None when it has another form."""
    match = _FORM.fullmatch(text)
    return None if match is None else KeyText(*match.groups())


def is_prefix(text: str) -> bool:
    """Tell whether a text has the form of a key's public part."""
    return _PREFIX.fullmatch(text) is not None


def hash_of(secret: str) -> str:
    """Return what is kept of a secret; it has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
