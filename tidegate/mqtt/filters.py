"""MQTT topic filters as steps write them. Pure."""

from urllib.parse import quote

from tidegate.errors import Misconfigured

_MAX_BYTES = 60_000


def check_filter(text: str) -> None:
    """Check a topic filter.

    Raises:
        Misconfigured: no broker would take it, or would give it another meaning.
    """
    if not text or "\0" in text:
        raise Misconfigured(f"topic {text!r} must be a text without NUL characters")
    if not _is_utf8(text) or len(text.encode()) > _MAX_BYTES:
        raise Misconfigured(f"topic must be valid text of at most {_MAX_BYTES} bytes")
    if text.startswith("$share/"):
        raise Misconfigured(
            f"topic '{text}': write the filter without $share; processes share the work anyway"
        )
    levels = text.split("/")
    for level in levels:
        if ("+" in level or "#" in level) and len(level) > 1:
            raise Misconfigured(f"topic '{text}': '+' and '#' must stand alone between slashes")
    if "#" in levels[:-1]:
        raise Misconfigured(f"topic '{text}': '#' must be at the end")


def shared(step: str, text: str) -> str:
    """Return the subscription of which each message goes to one of the processes of a step."""
    return f"$share/tidegate-{quote(step, safe='')}/{text}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
