"""What every format holds its readings to: how many, how long, how large, when. Pure."""

from collections.abc import Iterable
from datetime import datetime
from math import isfinite
from typing import Any, TypeVar

from wire.errors import Malformed
from wire.ids import metric_name

MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_READINGS = 10_000
MAX_VALUES = 1_000
MAX_TEXT_CHARS = 4_096
# Deeper than any device nests, and far from what would exhaust a stack.
MAX_DEPTH = 16
_MS_PER_S = 1_000
# Later than any calendar; arithmetic on it stays exact.
_MAX_S = 2**42

T = TypeVar("T")

_checked_names: set[str] = set()
_MAX_CHECKED_NAMES = 10_000


def check_size(payload: bytes) -> None:
    """Raise `Malformed` when a payload is larger than `MAX_PAYLOAD_BYTES`."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed(f"payload is larger than {MAX_PAYLOAD_BYTES} bytes")


def bounded(rows: list[T]) -> list[T]:
    """Return the readings; raise `Malformed` when there are more than `MAX_READINGS`."""
    if len(rows) > MAX_READINGS:
        raise Malformed(f"payload has more than {MAX_READINGS} readings")
    return rows


def check_names(names: Iterable[str]) -> None:
    """Check the names of metrics; raise `Malformed` for the first that is wrong."""
    for name in names:
        if name not in _checked_names:
            _check_name(name)


def check_values(values: dict[str, Any]) -> None:
    """Check the names and values of one reading; raise `Malformed` for the first that is wrong.

    Numbers must be floats. The same few names come in nearly every payload: checked once.
    """
    if not values or len(values) > MAX_VALUES:
        raise Malformed(f"reading has more than {MAX_VALUES} values" if values else _NO_VALUES)
    for name, value in values.items():
        if name not in _checked_names:
            _check_name(name)
        if type(value) is not float or not isfinite(value):
            _check_value(name, value)


_NO_VALUES = "reading has no values"


def _check_name(text: str) -> None:
    metric_name(text)
    if len(_checked_names) >= _MAX_CHECKED_NAMES:
        # Whoever sends ever new names must not keep those of the others out for good.
        _checked_names.clear()
    _checked_names.add(text)


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, float):
        raise Malformed(f"value of {name!r} is not finite")
    if isinstance(value, str):
        _check_text(name, value)
        return
    if isinstance(value, list):
        raise Malformed(f"value of {name!r} is a list, but ts is not")
    raise Malformed(f"value of {name!r} is null")


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_TEXT_CHARS:
        raise Malformed(f"value of {name!r} is longer than {MAX_TEXT_CHARS} characters")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise Malformed(f"value of {name!r} is not valid Unicode") from exc


def moment_of(text: str) -> datetime:
    """Read an RFC 3339 time, with or without an offset; raise `Malformed` when it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise Malformed("ts is neither milliseconds nor RFC 3339") from exc


def unix_ms(moment: datetime) -> int:
    """Return Unix milliseconds of a time that has an offset; raise `Malformed` when it has none."""
    if moment.tzinfo is None:
        raise Malformed("ts has no offset from UTC")
    try:
        return round(moment.timestamp() * _MS_PER_S)
    except OverflowError as exc:
        raise Malformed("ts is out of range") from exc


def ms_of_seconds(seconds: float) -> int:
    """Return seconds as whole milliseconds; raise `Malformed` when they are no possible time."""
    if not -_MAX_S < seconds < _MAX_S:
        raise Malformed("ts is out of range")
    return round(seconds * _MS_PER_S)
