"""JSON of any device, flat or nested, made into readings by the rules of a mapping file. Pure.

A topic that ends with `#` gives the levels it matched as the first keys: `relay/0/power` with
the payload `12.5` is read as `{"relay": {"0": {"power": 12.5}}}`, so that bare numbers and words
need no rules of another kind.

Rules are matched once for each path and remembered in a tree of nodes, so decoding looks keys
up and little more.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from wire.codecs.checks import MAX_DEPTH, MAX_TEXT_CHARS, check_size, check_values
from wire.codecs.mapping.file import MappingFile
from wire.codecs.mapping.paths import Keys, Path, Template
from wire.codecs.mapping.values import Clock, Take, taker, words_of
from wire.errors import Malformed
from wire.messages import Decoded, Reading, Refusal
from wire.patterns import REST

MAX_KEYS = 5_000
# Of a key, or of what a topic gives. Names are made of all keys of a path, so every value below a
# key has the key's length once more.
MAX_KEY_CHARS = 256
_MAX_NODES = 20_000

_Names = tuple[tuple[str, str], ...]
_anything = msgspec.json.Decoder()


class _Rule(NamedTuple):
    """A rule, compiled."""

    path: Path
    name: Template
    take: Take


class _Node:
    """What becomes of the value of one path, and what stands below it."""

    __slots__ = ("below", "is_ignored", "is_time", "keys", "takes")

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.below: dict[str, _Node] = {}
        self.takes: list[tuple[Take, str]] = []
        self.is_ignored = False
        self.is_time = False


class Mapped:
    """A compiled mapping. One thread at a time."""

    def __init__(self, file: MappingFile, *, source: str) -> None:
        """Compile a mapping; raise `Malformed` when a path, a name or its words make no sense."""
        self.name = file.name
        self._unwrap = frozenset(file.unwrap)
        self._clock = None if file.time is None else Clock(file.time, source=source)
        try:
            self._ignored = [Path(path) for path in file.ignore]
            self._time = None if file.time is None else Path(file.time.path)
            self._rules = [
                _Rule(Path(one.path), Template(one.name), taker(one, words_of(file, one)))
                for one in file.metrics
            ]
        except Malformed as exc:
            raise Malformed(f"{source}: {exc}") from exc
        self._trees: dict[_Names, _Node] = {}
        self._nodes = 0

    def check_names(self, given: Mapping[str, str]) -> None:
        """Raise `Malformed` when a metric's name needs a name that its topic does not give."""
        for rule in self._rules:
            missing = sorted(rule.name.names - rule.path.names - given.keys())
            if missing:
                raise Malformed(
                    f"mapping {self.name!r}: the metric {rule.name.text!r} needs a topic with "
                    f"{{{missing[0]}}} in it"
                )

    def bound(self, names: Mapping[str, str]) -> Callable[[bytes], Decoded]:
        """Return how payloads are decoded that come on a topic which gave these names.

        What it returns raises `Malformed` for what is no JSON and no word that a rule takes, and
        for what is beyond the limits.
        """
        rest = names.get(REST)
        levels = rest.split("/") if rest else []
        given = tuple(pair for pair in sorted(names.items()) if pair[0] != REST)

        def decode(payload: bytes) -> Decoded:
            check_size(payload)
            _check_topic(levels, given)
            reader = _Reader(self, given)
            node = self._root(given)
            for level in levels:
                if node.is_ignored:
                    return Decoded([])
                node = reader.below(node, level)
            reader.read(*_parsed(payload), node)
            return self._decoded(reader)

        return decode

    def _decoded(self, reader: "_Reader") -> Decoded:
        if not reader.values:
            return Decoded([])
        try:
            ts_ms = None
            if self._clock is not None and reader.time is not None:
                ts_ms = self._clock.ts_ms(reader.time)
            check_values(reader.values)
        except Malformed as exc:
            return Decoded([], [Refusal(0, str(exc))])
        return Decoded([Reading(reader.values, ts_ms)])  # type: ignore[arg-type]  # names were checked

    def _root(self, names: _Names) -> _Node:
        root = self._trees.get(names)
        if root is None:
            root = self._trees[names] = self.node((), dict(names))
            root.below.update(dict.fromkeys(self._unwrap, root))
        return root

    def node(self, keys: Keys, names: Mapping[str, str]) -> _Node:
        """Match the rules against a path. What is remembered is bounded: it starts anew."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            self._nodes = 0
            self._trees.clear()
        node = _Node(keys)
        node.is_ignored = any(path.match(keys) is not None for path in self._ignored)
        node.is_time = self._time is not None and self._time.match(keys) is not None
        for rule in self._rules:
            found = rule.path.match(keys)
            if found is not None:
                node.takes.append((rule.take, rule.name.filled({**names, **found})))
        return node


class _Reader:
    """Reads one payload."""

    def __init__(self, mapped: Mapped, names: _Names) -> None:
        self._mapped, self._names = mapped, dict(names)
        self.values: dict[str, Any] = {}
        self.time: Any = None
        self._keys = 0

    def read(self, value: Any, is_word: bool, node: _Node) -> None:  # noqa: FBT001 - from a pair
        """Read a whole payload."""
        if node.is_ignored or value is None:
            return
        if isinstance(value, dict | list):
            self._read_all(value, node, 1)
        elif not self._take(value, node):
            what = "is no JSON, and no rule takes a word" if is_word else "is taken by no rule"
            raise Malformed(f"payload {what} at {'.'.join(node.keys) or 'this topic'}")

    def _read_all(self, values: Any, node: _Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Malformed(f"payload is nested deeper than {MAX_DEPTH} levels")
        self._keys += len(values)
        if self._keys > MAX_KEYS:
            raise Malformed(f"payload has more than {MAX_KEYS} keys")
        known = node.below
        pairs = values.items() if type(values) is dict else _numbered(values)
        for key, value in pairs:
            below = known.get(key) or self.below(node, key)
            if below.is_ignored or value is None:
                continue
            kind = type(value)
            if kind is dict or kind is list:
                self._read_all(value, below, depth + 1)
            elif below.is_time:
                self.time = value
            elif below.takes:
                self._take(value, below)

    def _take(self, value: Any, node: _Node) -> bool:
        for take, name in node.takes:
            taken = take(value)
            if taken is not None:
                if name in self.values:
                    raise Malformed(f"two values of the payload are called {name!r}")
                self.values[name] = taken
                return True
        return False

    def below(self, node: _Node, key: str) -> _Node:
        """Return the node of a key; raise `Malformed` for one that is too long."""
        known = node.below.get(key)
        if known is None:
            if len(key) > MAX_KEY_CHARS:
                raise Malformed(f"payload has a key of more than {MAX_KEY_CHARS} characters")
            known = node.below[key] = self._mapped.node((*node.keys, key), self._names)
        return known


def _check_topic(levels: list[str], given: _Names) -> None:
    if len(levels) > MAX_DEPTH:
        raise Malformed(f"topic has more than {MAX_DEPTH} levels at its #")
    if any(len(text) > MAX_KEY_CHARS for text in (*levels, *dict(given).values())):
        raise Malformed(f"topic has a level of more than {MAX_KEY_CHARS} characters")


def _numbered(values: list[Any]) -> list[tuple[str, Any]]:
    return [(str(index), value) for index, value in enumerate(values)]


def _parsed(payload: bytes) -> tuple[Any, bool]:
    """Return what a payload is, and whether it is a word: on a topic of its own, without quotes."""
    try:
        return _anything.decode(payload), False
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        fault = exc
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as exc:
        raise Malformed("payload is neither JSON nor text") from exc
    if not text:
        return None, True
    if text[0] in '{["' or len(text) > MAX_TEXT_CHARS:
        raise Malformed(f"payload is not valid JSON: {fault}")
    return text, True
