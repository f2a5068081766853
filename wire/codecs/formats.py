"""The formats that a telemetry payload can have, by name and by content type. Pure."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from wire import mappings
from wire.codecs import json, msgpack, senml, senml_cbor
from wire.codecs.line import protocol as line_protocol
from wire.codecs.mapping.file import parse
from wire.codecs.mapping.mapped import Mapped
from wire.errors import Malformed
from wire.messages import Decoded, Table

Identities = dict[int, tuple[str, int]]
Decode = Callable[[bytes], Decoded | Table]


def _shows_none(_payload: bytes) -> Identities:
    return {}


class Format(NamedTuple):
    """How payloads of one format are read.

    `decode` gets the payload unpacked; it raises `Malformed` when the payload as a whole is
    unusable, and lists faults of single readings in `Decoded.refused`. `identities` returns
    index → (boot, seq) of the readings of a payload that `decode` refused, as far as it shows
    them. `decoder_for` returns the decoder that a content type's parameters ask for. `bind`, when
    there is one, returns another `decode` for payloads of a topic that gave names; `check_names`
    raises `Malformed` when names are missing that the format needs.
    """

    name: str
    decode: Decode
    content_types: tuple[str, ...] = ()
    identities: Callable[[bytes], Identities] = _shows_none
    decoder_for: Callable[[Mapping[str, str]], Decode] | None = None
    bind: Callable[[Mapping[str, str]], Decode] | None = None
    check_names: Callable[[Mapping[str, str]], None] | None = None

    def for_topic(self, names: Mapping[str, str]) -> "Format":
        """Return the format as it is on a topic that gave these names."""
        return self if self.bind is None else self._replace(decode=self.bind(names))


def mapping_format(text: str, *, source: str) -> Format:
    """Return the format that a mapping file describes; raise `Malformed` for what is wrong in it.

    `source` is what errors call the file.
    """
    mapped = Mapped(parse(text, source=source), source=source)
    return Format(mapped.name, mapped.bound({}), bind=mapped.bound, check_names=mapped.check_names)


OURS = Format("tidegate", json.decode_telemetry, ("application/json",), json.identities)
LINE_PROTOCOL = Format(
    "line-protocol",
    line_protocol.decode_lines,
    line_protocol.CONTENT_TYPES,
    decoder_for=line_protocol.decoder_for,
)


class Formats:
    """A set of formats; `OURS` is what a payload has that nothing else is known of."""

    def __init__(self, formats: Iterable[Format] = ()) -> None:
        """Gather formats; raise `Malformed` when two have one name."""
        self._by_name: dict[str, Format] = {}
        for one in (OURS, *formats):
            if one.name in self._by_name:
                raise Malformed(f"there is a format called {one.name!r} already: rename yours")
            self._by_name[one.name] = one
        self._by_type = {kind: one for one in self._by_name.values() for kind in one.content_types}

    def __iter__(self) -> Iterator[Format]:
        return iter(self._by_name.values())

    def extended(self, formats: Iterable[Format]) -> "Formats":
        """Return these formats and others; raise `Malformed` when two have one name."""
        return Formats([*(one for one in self if one is not OURS), *formats])

    def named(self, name: str) -> Format:
        """Return the format of a name; raise `Malformed` with the nearest when there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._by_name, 1) or sorted(self._by_name)
            raise Malformed(f"no format is called {name!r}; known: {', '.join(near)}") from None

    def of_content_type(self, content_type: str) -> Format:
        """Return the format of a content type; `OURS` when unknown.

        Parameters (`; precision=s`) change how it is read when the format knows any.
        """
        kind, _, rest = content_type.partition(";")
        found = self._by_type.get(kind.strip().lower(), OURS)
        if found.decoder_for is None or not rest:
            return found
        return found._replace(decode=found.decoder_for(_parameters(rest)))


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters of a content type, by their names in lower case."""
    pairs = (one.partition("=") for one in text.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if value}


_BINARY_AND_TEXT = (
    Format(
        "msgpack",
        msgpack.decode_telemetry,
        ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack"),
        msgpack.identities,
    ),
    Format("senml-json", senml.decode_json, ("application/senml+json", "application/sensml+json")),
    Format(
        "senml-cbor",
        senml_cbor.decode_cbor,
        ("application/senml+cbor", "application/sensml+cbor"),
    ),
)

SHIPPED = Formats(
    [
        LINE_PROTOCOL,
        *_BINARY_AND_TEXT,
        *(mapping_format(text, source=file) for file, text in mappings.shipped().items()),
    ]
)
