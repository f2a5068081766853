"""What a name may bring onto the page that is no character to be printed. Pure."""

import unicodedata

_NOT_PRINTED = frozenset({"Cc", "Cn", "Co", "Cs"})


def printable(text: str) -> str:
    """Return a text without control characters and such as are not assigned."""
    return "".join(c for c in text if unicodedata.category(c) not in _NOT_PRINTED).strip()
