"""InfluxDB's line protocol: `measurement,tag=value field=1,field=2i time`, one reading a line.

Accepts what InfluxDB 1.x accepts, apart from what is said below; a line that breaks the rules
costs itself, up to its own line feed, and no other. Differences, each for a reason: a carriage
return before the line feed is no fault; `1u` is a number, as in 2.x; text behind a closing
quote is a fault; a line feed is part of a line only inside of quotes, never after a backslash
or in a comment; a field may be called `time`; in a field's name, as in tags, a comma
behind two backslashes is escaped. Names and texts have the limits of all formats.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from math import isfinite
from typing import NamedTuple

from wire.codecs.checks import MAX_READINGS, MAX_TEXT_CHARS, MAX_VALUES, check_size
from wire.codecs.line.faults import fault_of
from wire.codecs.line.naming import TELEGRAF, suffix_of
from wire.codecs.line.syntax import BARE, BLANKS, MEASUREMENT, NAME, TAG_VALUE, TEXT
from wire.errors import Malformed
from wire.ids import MetricName, metric_name
from wire.messages import Decoded, Reading, Refusal, Value
from wire.points import order_among

CONTENT_TYPES = (
    "application/x-influx-line-protocol",
    "application/vnd.influxdata.line-protocol",
    "application/vnd.influx.line-protocol",
)
PRECISIONS: Mapping[str, int] = {
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds in the unit of timestamps, by each of its names."""

_NS_PER_MS = 1_000_000
_MAX_NS = 2**63 - 2
_MAX_KEY_BYTES = 65_535
_MAX_CACHED_CHARS = 512

_FIELD = rf"{NAME}=(?:{TEXT}|{BARE})"
_LINE = re.compile(
    rf"({MEASUREMENT}(?:,{NAME}={TAG_VALUE})*+)"
    rf" {BLANKS}({_FIELD}(?:,{_FIELD})*+)"
    rf"(?: {BLANKS}(-?[0-9]++)?+ *+)?+\r?+(?:\n|\Z)"
)
_MEASUREMENT_PART = re.compile(MEASUREMENT)
_TAG_PART = re.compile(rf",({NAME})=({TAG_VALUE})")
_FIELD_PART = re.compile(rf"({NAME})=({TEXT}|{BARE}),?")
_BLANKS = re.compile(BLANKS)
_NO_LINES = re.compile(rf"(?:{BLANKS}(?:#[^\n]*+|\r?+)(?:\n|\Z))++")
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"(-?[0-9]+)i|([0-9]+)u")
_KEY_ESCAPES = re.compile(r"\\([, =])")
_MEASUREMENT_ESCAPES = re.compile(r"\\([, ])")
_TEXT_ESCAPES = re.compile(r'\\(["\\])')
_TRUTH: Mapping[str, bool] = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
# More characters than any number in range needs; what is longer is not even read.
_MAX_DIGITS = 400
_MIN_INT, _MAX_INT, _MAX_UINT = -(2**63), 2**63 - 1, 2**64 - 1


class _Key(NamedTuple):
    """What measurement and tags of a line say: the ends of its metrics' names, and its order."""

    prefix: str
    suffix: str
    tags: str


def decode_lines(payload: bytes, *, precision: str = "ns") -> Decoded:
    """Decode a payload of lines; timestamps are in units of `precision`, see `PRECISIONS`.

    Times are cut to milliseconds. What the cut takes away, and the tags that are in no name, go
    into the reading's `order`.

    Raises:
        Malformed: the payload has too many bytes or lines, or there is no such precision. The
            fault of one line is not raised but listed in `refused`.
    """
    unit_ns = PRECISIONS.get(precision)
    if unit_ns is None:
        raise Malformed(f"precision is none of {', '.join(PRECISIONS)}")
    check_size(payload)
    try:
        text, is_unicode = payload.decode(), True
    except UnicodeDecodeError:
        text, is_unicode = payload.decode(errors="surrogateescape"), False
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, (line, found) in enumerate(_lines(text)):
        if index >= MAX_READINGS:
            raise Malformed(f"payload has more than {MAX_READINGS} lines")
        try:
            if not is_unicode:
                _check_unicode(line)
            readings.append(_reading(line, found, unit_ns))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused)


def decoder_for(parameters: Mapping[str, str]) -> Callable[[bytes], Decoded]:
    """Return the decoder that a content type's parameters ask for (`precision`)."""
    precision = parameters.get("precision")
    return decode_lines if precision is None else partial(decode_lines, precision=precision)


def _lines(text: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Yield each line that is neither blank nor a comment, and its match if it is well formed."""
    at, end = 0, len(text)
    while at < end:
        skipped = _NO_LINES.match(text, at)
        if skipped is not None:
            at = skipped.end()
            continue
        blanks = _BLANKS.match(text, at)
        start = at if blanks is None else blanks.end()
        found = _LINE.match(text, start)
        if found is not None:
            at = found.end()
        else:
            stop = text.find("\n", start)
            at = end if stop < 0 else stop + 1
        yield text[start:at], found


def _check_unicode(line: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as exc:
        raise Malformed("line is not valid UTF-8") from exc


def _reading(line: str, found: re.Match[str] | None, unit_ns: int) -> Reading:
    if found is None:
        raise Malformed(fault_of(line))
    key_text, fields, time = found.groups()
    key = _cached_key(key_text) if len(key_text) <= _MAX_CACHED_CHARS else _key(key_text)
    values: dict[MetricName, Value] = {}
    for place, (name, value) in enumerate(_FIELD_PART.findall(fields), 1):
        if place > MAX_VALUES:
            raise Malformed(f"line has more than {MAX_VALUES} fields")
        values[_metric(key.prefix, name, key.suffix)] = _value(value, place)
    if time is None:
        return Reading(values, order=order_among(key.tags, 0))
    ts_ms, rest_ns = divmod(_time_ns(time, unit_ns), _NS_PER_MS)
    return Reading(values, ts_ms, order=order_among(key.tags, rest_ns))


def _key(text: str) -> _Key:
    """Take measurement and tags apart; raise `Malformed` for tags that cannot be."""
    if len(text) > _MAX_KEY_BYTES or len(text.encode()) > _MAX_KEY_BYTES:
        raise Malformed(f"measurement and tags have more than {_MAX_KEY_BYTES} bytes")
    named = _MEASUREMENT_PART.match(text)
    raw_name = "" if named is None else named[0]
    measurement = _MEASUREMENT_ESCAPES.sub(r"\1", raw_name)
    tags: dict[str, str] = {}
    for raw_tag, raw_value in _TAG_PART.findall(text, len(raw_name)):
        tag = _unescaped(raw_tag)
        if tag in tags:
            raise Malformed("line has the same tag twice")
        tags[tag] = _unescaped(raw_value)
    if "time" in tags:
        raise Malformed("a tag cannot be called time")
    wanted = TELEGRAF.get(measurement, ())
    others = sorted((tag, value) for tag, value in tags.items() if tag not in wanted)
    rest = "\n".join(f"{tag}\n{value}" for tag, value in others)
    return _Key(f"{measurement}.", suffix_of(wanted, tags), rest)


_cached_key = lru_cache(maxsize=4_096)(_key)


@lru_cache(maxsize=10_000)
def _metric(prefix: str, raw_field: str, suffix: str) -> MetricName:
    """Return the name of a field's metric: what is no name raises, and is not cached."""
    return metric_name(f"{prefix}{_unescaped(raw_field)}{suffix}")


def _unescaped(name: str) -> str:
    return _KEY_ESCAPES.sub(r"\1", name) if "\\" in name else name


def _value(text: str, place: int) -> Value:
    if text[0] == '"':
        return _text(text, place)
    truth = _TRUTH.get(text)
    if truth is not None:
        return truth
    if len(text) <= _MAX_DIGITS:
        if _NUMBER.fullmatch(text):
            return _finite(float(text), place)
        whole = _WHOLE.fullmatch(text)
        if whole is not None:
            return _whole(whole, place)
    raise Malformed(f"field {place} is neither a number, nor a boolean, nor a quoted text")


def _text(quoted: str, place: int) -> str:
    text = quoted[1:-1]
    if "\\" in text:
        text = _TEXT_ESCAPES.sub(r"\1", text)
    if len(text) > MAX_TEXT_CHARS:
        raise Malformed(f"text of field {place} is longer than {MAX_TEXT_CHARS} characters")
    return text


def _finite(number: float, place: int) -> float:
    if not isfinite(number):
        raise Malformed(f"field {place} is out of the range of a number")
    return number


def _whole(found: re.Match[str], place: int) -> float:
    signed, unsigned = found.groups()
    number = int(unsigned if signed is None else signed)
    low, high = (0, _MAX_UINT) if signed is None else (_MIN_INT, _MAX_INT)
    if not low <= number <= high:
        raise Malformed(f"field {place} is out of the range of a 64-bit integer")
    return float(number)


def _time_ns(text: str, unit_ns: int) -> int:
    time_ns = int(text) * unit_ns if len(text) <= _MAX_DIGITS else _MAX_NS + 1
    if not -_MAX_NS <= time_ns <= _MAX_NS:
        raise Malformed("timestamp is out of range: check its precision")
    return time_ns
