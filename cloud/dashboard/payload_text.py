"""An event's data as text for a person: indented, bounded, nothing invisible. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

_MAX_DEPTH = 24
_SHOWN_BYTES = 32
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


class Shown(NamedTuple):
    """A text, and whether more would follow."""

    text: str
    is_cut: bool


def payload_text(data: object, *, limit: int) -> Shown:
    """Return data as indented JSON, at most `limit` characters of it.

    What JSON has no word for reads as what it is: `<3 bytes: de ad 00>`, `<date 2026-01-31>`. A
    character that cannot be seen is escaped.
    """
    parts: list[str] = []
    length = 0
    for part in _parts(data, 0, limit):
        parts.append(part)
        length += len(part)
        if length > limit:
            return Shown("".join(parts)[:limit] + _ELLIPSIS, is_cut=True)
    return Shown("".join(parts), is_cut=False)


def visible_text(text: str, *, limit: int, keep: Literal["start", "end"] = "start") -> Shown:
    """Return a text with its lines, at most `limit` characters, what cannot be seen as a dot."""
    if len(text) > limit:
        cut = text[:limit] + _ELLIPSIS if keep == "start" else _ELLIPSIS + text[-limit:]
        return Shown(_visible(cut), is_cut=True)
    return Shown(_visible(text), is_cut=False)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{MIDDLE DOT}" for c in text)


def _parts(value: object, depth: int, limit: int) -> Iterator[str]:
    """Yield the text in pieces, so that who has enough of it makes no more."""
    if isinstance(value, Mapping):
        named = ((f"{_quoted(str(name), limit)}: ", item) for name, item in value.items())
        yield from _block("{}", named, depth, limit)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield from _block("[]", (("", item) for item in value), depth, limit)
    else:
        yield _scalar(value, limit)


def _block(
    brackets: str, items: Iterable[tuple[str, object]], depth: int, limit: int
) -> Iterator[str]:
    if depth >= _MAX_DEPTH:
        yield _ELLIPSIS.join(brackets)
        return
    is_empty = True
    for name, item in items:
        lead = brackets[0] if is_empty else ","
        yield f"{lead}\n{'  ' * (depth + 1)}{name}"
        yield from _parts(item, depth + 1, limit)
        is_empty = False
    yield brackets if is_empty else f"\n{'  ' * depth}{brackets[1]}"


def _scalar(value: object, limit: int) -> str:
    if isinstance(value, str):
        return _quoted(value, limit)
    if isinstance(value, bytes):
        more = f" {_ELLIPSIS}" if len(value) > _SHOWN_BYTES else ""
        return f"<{len(value)} bytes: {value[:_SHOWN_BYTES].hex(' ')}{more}>"
    if isinstance(value, Decimal | date):
        # A datetime is a date, too.
        return f"<{type(value).__name__.lower()} {value}>"
    return json.dumps(value) if isinstance(value, bool | int | float | None) else f"<{value!r}>"


def _quoted(text: str, limit: int) -> str:
    plain = (
        c if c.isprintable() and c not in '"\\' else json.dumps(c)[1:-1] for c in text[: limit + 1]
    )
    return f'"{"".join(plain)}"'
