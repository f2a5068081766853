"""Globs as SQLite's GLOB reads them, as regular expressions of PostgreSQL. Pure."""

_NOTHING = "^$."


def glob_to_regex(pattern: str) -> str:
    """Return a regular expression that matches the texts that the glob matches.

    `*` is any text, `?` one character, `[a-z]` one of a set, `[^a-z]` one of the others; nothing
    escapes. A set that is never closed matches nothing.
    """
    parts = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "[":
            end = _end_of_set(pattern, at)
            if end is None:
                return _NOTHING
            parts.append(_set(pattern[at:end]))
            at = end + 1
        else:
            parts.append({"*": ".*", "?": "."}.get(char) or _literal(char))
    return f"^{''.join(parts)}$"


def _end_of_set(pattern: str, start: int) -> int | None:
    """Return where the closing bracket is; one at the very beginning belongs to the set."""
    first = start + 1 if pattern[start : start + 1] == "^" else start
    end = pattern.find("]", first + 1)
    return None if end < 0 else end


def _set(inside: str) -> str:
    inverted = inside.startswith("^")
    rest = inside[1:] if inverted else inside
    ranges = []
    at = 0
    while at < len(rest):
        # As in SQLite, neither a range's end nor a closing bracket put first begins a range.
        begins = at + 2 < len(rest) and rest[at + 1] == "-" and not (at == 0 and rest[0] == "]")
        last = rest[at + 2] if begins else rest[at]
        ranges.append(_literal(rest[at]))
        if begins and rest[at] <= last:
            ranges.append(f"{_literal(rest[at])}-{_literal(last)}")
        at += 3 if begins else 1
    return f"[{'^' if inverted else ''}{''.join(ranges)}]"


def _literal(char: str) -> str:
    plain = char.isascii() and char.isalnum()
    return char if plain else f"\\U{ord(char):08x}"
