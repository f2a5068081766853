"""Mapping files: how the payloads of a kind of device become metrics. TOML, checked. Pure.

`docs/how-to/connect-devices.md` explains them to people.
"""

import difflib
import tomllib
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from wire.errors import Malformed

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_Words = list[str]


class Time(msgspec.Struct, frozen=True):
    """Where the time of a payload stands. Numbers count `unit`s since 1970, texts are ISO 8601.

    A text without an offset is meant in `zone`; when there is none, `without_zone` decides.
    """

    path: str | list[str]
    unit: Literal["s", "ms"] = "s"
    zone: str | None = None
    without_zone: Literal["arrival", "refuse"] = "arrival"


class Metric(msgspec.Struct, frozen=True):
    """Which values become a metric, and how. Without `as`: numbers, booleans and known words."""

    path: str | list[str]
    name: str = "{path}"
    kind: Literal["number", "boolean", "text"] | None = msgspec.field(default=None, name="as")
    scale: float | None = None
    true: _Words | None = None
    false: _Words | None = None


class MappingFile(msgspec.Struct, frozen=True):
    """One mapping: a format of its own, called `name`."""

    name: _Name
    metrics: Annotated[list[Metric], msgspec.Meta(min_length=1)]
    ignore: list[str | list[str]] = []
    unwrap: list[str] = []
    true: _Words = []
    false: _Words = []
    time: Time | None = None


_TABLES: dict[str, type[msgspec.Struct]] = {"time": Time, "metrics": Metric}


def parse(text: str, *, source: str) -> MappingFile:
    """Parse a mapping file; `source` is what errors call it.

    Raises:
        Malformed: it is no TOML, a key is unknown (the nearest is named), or a value is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise Malformed(f"{source}: {exc}") from exc
    _refuse_unknown(raw, source)
    try:
        file = msgspec.convert(raw, MappingFile)
    except msgspec.ValidationError as exc:
        raise Malformed(f"{source}: {str(exc).replace('`$.', '`')}") from exc
    if file.time is not None and file.time.zone is not None:
        zone_of(file.time.zone, source=source)
    return file


def zone_of(name: str, *, source: str) -> ZoneInfo:
    """Return a time zone; raise `Malformed` when there is none of this name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as exc:
        raise Malformed(f"{source}: time.zone: there is no time zone {name!r}") from exc


def _refuse_unknown(raw: dict[str, Any], source: str) -> None:
    _refuse_keys(raw, MappingFile, source, at="")
    for key, kind in _TABLES.items():
        found = raw.get(key)
        for index, table in enumerate(found if isinstance(found, list) else [found]):
            if isinstance(table, dict):
                at = f"{key}[{index}]." if isinstance(found, list) else f"{key}."
                _refuse_keys(table, kind, source, at=at)


def _refuse_keys(raw: dict[str, Any], kind: type[msgspec.Struct], source: str, *, at: str) -> None:
    known = kind.__struct_encode_fields__
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f", did you mean '{near[0]}'?" if near else f"; known are: {', '.join(known)}"
            raise Malformed(f"{source}: unknown key '{at}{key}'{hint}")
