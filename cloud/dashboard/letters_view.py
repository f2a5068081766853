"""Turns dead letters into what their page shows. Pure."""

from typing import NamedTuple

from cloud.dashboard.needs import DeadLetter

_EXCERPT_CHARS = 240
_EXCERPT_BYTES = 80


class Letter(NamedTuple):
    """One dead letter; `excerpt` is printable, bytes that are no text show in hexadecimal."""

    id: int
    topic: str
    reason: str
    excerpt: str
    size_bytes: int
    at_ms: int
    can_replay: bool


def letter_view(found: DeadLetter) -> Letter:
    """Return the view of a dead letter."""
    return Letter(
        id=found.id,
        topic=found.topic,
        reason=found.reason,
        excerpt=_excerpt(found.payload),
        size_bytes=len(found.payload),
        at_ms=found.received_at_ms,
        can_replay=found.readings > 0 and not found.is_shortened,
    )


def _excerpt(payload: bytes) -> str:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        shown = payload[:_EXCERPT_BYTES].hex(" ")
        return f"{shown} …" if len(payload) > _EXCERPT_BYTES else shown
    start = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in text[: _EXCERPT_CHARS + 1])
    return start if len(start) <= _EXCERPT_CHARS else f"{start[:_EXCERPT_CHARS]}…"
