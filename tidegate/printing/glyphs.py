"""Characters that no font of this machine can draw are spelt out instead of left as empty boxes.

PDF/UA forbids such boxes, and some readers cannot extract any text around them. Pure.
"""

from collections.abc import Callable


def spell_out(html: str, missing_in: Callable[[str], set[str]]) -> str:
    """Return the HTML with each character that `missing_in` reports written as `[U+6C34]`."""
    unusual = "".join(sorted({character for character in html if not character.isascii()}))
    missing = missing_in(unusual) if unusual else set()
    return html.translate({ord(character): f"[U+{ord(character):04X}]" for character in missing})
