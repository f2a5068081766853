"""What a name may do to the page: characters that no font draws, and such as are none. Pure.

PDF/UA forbids the empty boxes that stand for missing glyphs, and some readers cannot extract any
text around them; so these characters are spelt out.
"""

import unicodedata
from collections.abc import Set as AbstractSet

_NOT_PRINTED = frozenset({"Cc", "Cn", "Co", "Cs"})


def printable(text: str) -> str:
    """Return a text without control characters and such as are not assigned."""
    return "".join(c for c in text if unicodedata.category(c) not in _NOT_PRINTED).strip()


def spell_out(html: str, missing: AbstractSet[str]) -> str:
    """Return the HTML with each of these characters written as `[U+6C34]`."""
    return html.translate({ord(character): f"[U+{ord(character):04X}]" for character in missing})
