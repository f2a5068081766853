"""The formats that a telemetry payload can have, by name and by content type. Pure."""

import difflib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wire.codecs import json
from wire.errors import Malformed
from wire.messages import Decoded

Identities = dict[int, tuple[str, int]]


def _shows_none(_payload: bytes) -> Identities:
    return {}


class Format(NamedTuple):
    """How payloads of one format are read.

    `decode` gets the payload unpacked; it raises `Malformed` when the payload as a whole is
    unusable, and lists faults of single readings in `Decoded.refused`. `identities` returns
    index → (boot, seq) of the readings of a payload that `decode` refused, as far as it shows
    them.
    """

    name: str
    decode: Callable[[bytes], Decoded]
    content_types: tuple[str, ...] = ()
    identities: Callable[[bytes], Identities] = _shows_none


OURS = Format("tidegate", json.decode_telemetry, ("application/json",), json.identities)


class Formats:
    """A set of formats; `OURS` is what a payload has that nothing else is known of."""

    def __init__(self, formats: Iterable[Format] = ()) -> None:
        self._by_name = {one.name: one for one in (OURS, *formats)}
        self._by_type = {kind: one for one in self._by_name.values() for kind in one.content_types}

    def named(self, name: str) -> Format:
        """Return the format of a name; raise `Malformed` with the nearest when there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._by_name, 1) or sorted(self._by_name)
            raise Malformed(f"no format is called {name!r}; known: {', '.join(near)}") from None

    def of_content_type(self, content_type: str) -> Format:
        """Return the format of a content type (parameters are ignored); `OURS` when unknown."""
        return self._by_type.get(content_type.partition(";")[0].strip().lower(), OURS)


SHIPPED = Formats()
