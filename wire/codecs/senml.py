"""SenML (RFC 8428): packs of records, resolved into readings grouped by time; from JSON. Pure.

A metric is called what its record is called. When all records of a pack that hold a value share
one base name, and it ends at a separator (one of `: / . - _`), the name is that of the record
without it (`urn:dev:ow:10e2073a01080063:` + `temp` → `temp`); a record without a name of its
own is then called as the base without the separator. In every other pack it is the whole name.
A sum `s` becomes the metric `NAME.sum`. Units are not kept; binary values (`vd`) are refused.

Times from 2**28 on are Unix seconds. Those below are relative to the arrival.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import msgspec

from wire.codecs.checks import MAX_VALUES, bounded, check_size, check_values, ms_of_seconds
from wire.codecs.json_names import decoded_with_names
from wire.codecs.telemetry import Twice
from wire.errors import Malformed
from wire.messages import Decoded, Reading, Refusal

# Every name of the pack has the base's length once more.
MAX_BASE_NAME_CHARS = 1_024
_FIRST_ABSOLUTE_S = 2**28
_SEPARATORS = (":", "/", ".", "-", "_")
_VALUES = ("v", "vs", "vb", "vd")
_BASES = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_REGULAR = frozenset({"n", "u", "s", "t", "ut", *_VALUES})
_VERSION = 10
# RFC 9100: units of its second list may occur. They change nothing for us.
_SECONDARY_UNITS = 1 << 4

_Record = dict[str, Any]
# (Unix time, None) or (None, age), both in ms; (None, None) is the arrival.
_Time = tuple[int | None, int | None]
_anything = msgspec.json.Decoder()


def decode_json(payload: bytes) -> Decoded:
    """Decode a pack in JSON.

    Raises:
        Malformed: it is no pack, or its base values are unusable. A fault of single records is
            listed in `refused`.
    """
    check_size(payload)
    try:
        pack = _anything.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        return resolved(decoded_with_names(payload, exc)[0])
    if b"\\" in payload or payload.count(b":") != _colons_in(pack):
        pack = decoded_with_names(payload)[0]
    return resolved(pack)


def resolved(pack: Any) -> Decoded:
    """Resolve a decoded pack, its labels those of JSON; raise `Malformed` as `decode_json`.

    An index counts groups of one time, and records that are refused, as they come.
    """
    if not isinstance(pack, list) or not all(isinstance(one, dict) for one in pack):
        raise Malformed("payload is not a list of SenML records")
    records = list(_with_bases(bounded(pack)))
    shared = _shared_base(records)
    groups = _Groups()
    for record in records:
        if _REGULAR.isdisjoint(record.fields):
            continue
        try:
            groups.add(record, _name_of(record, shared))
        except Malformed as exc:
            groups.items.append(str(exc))
    return groups.decoded()


@dataclass(slots=True)
class _Based:
    """A record, and the base values that hold for it."""

    fields: _Record
    name: str = ""
    time_s: float = 0.0
    value: float | None = None
    sum: float | None = None
    version: int = _VERSION


def _with_bases(pack: list[_Record]) -> Iterator[_Based]:
    """Yield each record with its base values; raise `Malformed` when they are unusable."""
    last = _Based({})
    versions = {record["bver"] for record in pack if _is_version(record.get("bver"))}
    if len(versions) > 1:
        raise Malformed("SenML pack has several versions")
    for record in pack:
        bases = _BASES.intersection(record)
        if isinstance(record, Twice) and bases:
            record.refuse()
        if any(label.endswith("_") for label in record):
            raise Malformed("SenML record has a label that must be understood, and is not")
        last = _Based(record, last.name, last.time_s, last.value, last.sum)
        for label in bases:
            _set_base(last, label, record)
        yield last


def _is_version(value: Any) -> bool:
    if value is None:
        return False
    if type(value) is not int or not 0 < value & ~_SECONDARY_UNITS <= _VERSION:
        raise Malformed("SenML version is not known")
    return True


def _set_base(based: _Based, label: str, record: _Record) -> None:
    if label == "bn":
        based.name = _text(record, label)
        if len(based.name) > MAX_BASE_NAME_CHARS:
            raise Malformed(f"SenML bn is longer than {MAX_BASE_NAME_CHARS} characters")
    elif label == "bt":
        based.time_s = _number(record, label)
    elif label == "bv":
        based.value = _number(record, label)
    elif label == "bs":
        based.sum = _number(record, label)


def _shared_base(records: list[_Based]) -> str | None:
    """Return the base name that metrics are called without, None when there is no such."""
    names = {record.name for record in records if not _REGULAR.isdisjoint(record.fields)}
    shared = names.pop() if len(names) == 1 else ""
    return shared if shared.endswith(_SEPARATORS) and shared[:-1] else None


def _name_of(record: _Based, shared: str | None) -> str:
    own = _text(record.fields, "n") if "n" in record.fields else ""
    if shared is None:
        return record.name + own
    return own or shared[:-1]


@dataclass(slots=True)
class _Groups:
    """The values of each time, and between them why a record was refused."""

    items: list[tuple[_Time, dict[str, Any]] | str] = field(default_factory=list)
    _by_time: dict[_Time, dict[str, Any]] = field(default_factory=dict)

    def add(self, record: _Based, name: str) -> None:
        """Add what a record says; raise `Malformed` when it is not to be used."""
        values = _values_of(record, name)
        time = _time_of(record)
        check_values(values)
        group = self._by_time.get(time)
        if group is None:
            group = self._by_time[time] = {}
            self.items.append((time, group))
        if not group.keys().isdisjoint(values):
            raise Malformed(f"value of {name!r} stands twice for one time")
        if len(group) + len(values) > MAX_VALUES:
            raise Malformed(f"reading has more than {MAX_VALUES} values")
        group.update(values)

    def decoded(self) -> Decoded:
        """Return readings and refusals, each with its index among all."""
        readings: list[Reading] = []
        refused: list[Refusal] = []
        for index, item in enumerate(self.items):
            if isinstance(item, str):
                refused.append(Refusal(index, item))
            else:
                (ts_ms, age_ms), values = item
                readings.append(Reading(values, ts_ms, age_ms=age_ms))  # type: ignore[arg-type]  # names were checked
        return Decoded(readings, refused)


def _values_of(record: _Based, name: str) -> dict[str, Any]:
    fields = record.fields
    if isinstance(fields, Twice):
        fields.refuse()
    present = [label for label in _VALUES if label in fields]
    if len(present) > 1:
        raise Malformed(f"SenML record {name!r} has more than one value")
    values: dict[str, Any] = {}
    if present:
        values[name] = _value(fields, present[0], record.value or 0.0)
    elif record.value is not None and "s" not in fields:
        values[name] = record.value
    if "s" in fields:
        values[name + ".sum"] = (record.sum or 0.0) + _number(fields, "s")
    elif not values and record.sum is not None:
        values[name + ".sum"] = record.sum
    if not values:
        raise Malformed(f"SenML record {name!r} has no value")
    return values


def _value(fields: _Record, label: str, base: float) -> float | bool | str:
    if label == "v":
        return base + _number(fields, label)
    if label == "vs":
        return _text(fields, label)
    if label == "vd":
        raise Malformed("SenML record has a data value (vd), which is not stored")
    value = fields[label]
    if not isinstance(value, bool):
        raise Malformed("SenML vb is neither true nor false")
    return value


def _time_of(record: _Based) -> _Time:
    time_s = record.time_s + (_number(record.fields, "t") if "t" in record.fields else 0.0)
    time_ms = ms_of_seconds(time_s)
    if time_s >= _FIRST_ABSOLUTE_S:
        return time_ms, None
    return None, -time_ms or None


def _number(fields: _Record, label: str) -> float:
    value = fields[label]
    if type(value) is int:
        value = _float_of(value)
    if type(value) is not float or not isfinite(value):
        raise Malformed(f"SenML {label} is not a finite number")
    return value


def _float_of(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _text(fields: _Record, label: str) -> str:
    value = fields[label]
    if not isinstance(value, str):
        raise Malformed(f"SenML {label} is not a text")
    return value


def _colons_in(pack: Any) -> int:
    """Return how many colons a pack has when no name stands twice in it; escapes not counted."""
    records = [one for one in pack if isinstance(one, dict)] if isinstance(pack, list) else []
    texts = (text for one in records for text in (*one, *one.values()) if isinstance(text, str))
    return sum(map(len, records)) + sum(text.count(":") for text in texts)
