"""Paths of mapping rules: which keys of a payload they mean, and how these become names. Pure.

A path is keys with dots between: `ENERGY.Power`. Each may have one wildcard, `*` or a `{name}`
that keeps what it stands for: `switch:{id}.apower`. `**` at the end is every key below, at any
depth. The items of a list have the keys 0, 1, 2, …
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from wire.errors import Malformed
from wire.patterns import NAMED

Keys = tuple[str, ...]
_WILDCARD = re.compile(rf"\*|{NAMED}")
_REST, _PATH = "rest", "path"


class _Segment(NamedTuple):
    """What one key must look like; `name` keeps the part between, "" keeps nothing."""

    prefix: str
    suffix: str
    name: str | None

    def match(self, key: str, found: dict[str, str]) -> bool:
        prefix, suffix, name = self
        if name is None:
            return key == prefix
        if len(key) <= len(prefix) + len(suffix):
            return False
        if not key.startswith(prefix) or not key.endswith(suffix):
            return False
        if name:
            found[name] = key[len(prefix) : len(key) - len(suffix)]
        return True


class Path:
    """A checked path."""

    def __init__(self, text: str | list[str]) -> None:
        """Parse a path; keys that hold dots are written as a list.

        Raises:
            Malformed: a key is empty or has two wildcards, or `**` is not at the end.
        """
        keys = text.split(".") if isinstance(text, str) else list(text)
        self.text = ".".join(keys)
        self.takes_rest = keys[-1:] == ["**"]
        keys = keys[:-1] if self.takes_rest else [] if keys == [""] else keys
        self._segments = [_segment(key, self.text) for key in keys]
        names = [segment.name for segment in self._segments if segment.name]
        if len(set(names)) < len(names) or {_REST, _PATH} & set(names):
            raise Malformed(f"path {self.text!r}: no name twice, and none called rest or path")
        self.names = frozenset(names) | {_PATH} | ({_REST} if self.takes_rest else set())

    def match(self, keys: Keys) -> dict[str, str] | None:
        """Return what the names of the path stand for, None when it means other keys."""
        wanted = len(self._segments)
        if len(keys) <= wanted if self.takes_rest else len(keys) != wanted:
            return None
        found = {_PATH: ".".join(keys)}
        if self.takes_rest:
            found[_REST] = ".".join(keys[wanted:])
        for segment, key in zip(self._segments, keys, strict=False):
            if not segment.match(key, found):
                return None
        return found


def _segment(key: str, path: str) -> _Segment:
    found = list(_WILDCARD.finditer(key))
    if not key or len(found) > 1 or set(_WILDCARD.sub("", key)) & set("*{}"):
        raise Malformed(f"path {path!r}: {key!r} is no key with at most one * or {{name}}")
    if not found:
        return _Segment(key, "", None)
    start, end = found[0].span()
    return _Segment(key[:start], key[end:], found[0].group(1) or "")


class Template:
    """A metric's name with `{names}` in it."""

    def __init__(self, text: str) -> None:
        """Parse a template; raise `Malformed` when braces do not pair up around a name."""
        self.text = text
        parts = re.split(NAMED, text)
        if not text or any(set(part) & set("{}") for part in parts[::2]):
            raise Malformed(f"name {text!r}: write names as {{name}}")
        self._parts = parts
        self.names = frozenset(parts[1::2])

    def filled(self, names: Mapping[str, str]) -> str:
        """Return the name; raise `Malformed` when one of its names stands for nothing."""
        try:
            return "".join(
                names[part] if index % 2 else part for index, part in enumerate(self._parts)
            )
        except KeyError as exc:
            raise Malformed(f"name {self.text!r}: nothing is called {exc}") from exc
