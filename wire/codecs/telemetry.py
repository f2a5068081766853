"""The three shapes of our own payloads, whatever encodes them: single, batch and columns. Pure.

A codec decodes into `Payload` and calls `taken`. What does not fit into the types it decodes
without them and calls `taken_loosely`, which saves the good readings and names the others.
"""

from collections.abc import Iterator
from math import isfinite
from typing import Any, NoReturn

import msgspec

from wire.codecs.checks import MAX_READINGS, bounded, check_values, moment_of, unix_ms
from wire.errors import Malformed
from wire.ids import MetricName
from wire.messages import Decoded, Reading, Refusal, Value

MAX_BOOT_CHARS = 64
MAX_SEQ = 2**63 - 1

_RawValue = bool | float | str | None
_RawTime = int | float | str | None


class Point(msgspec.Struct):
    """One reading of a batch."""

    values: dict[str, _RawValue]
    ts: _RawTime = None
    seq: int | None = None


class Payload(msgspec.Struct):
    """The union of the three shapes; which one it is, `taken` tells by what is present."""

    ts: _RawTime | list[_RawTime] = None
    boot: str | None = None
    seq: int | None = None
    first: int | None = None
    values: dict[str, _RawValue | list[_RawValue]] | None = None
    points: list[Point] | None = None


class Twice(dict[str, Any]):
    """An object in which a name stands twice; it holds the last value of each."""

    def refuse(self) -> NoReturn:
        """Raise `Malformed`: which of the values is meant, nobody can know."""
        raise Malformed("a name stands twice in one object")


def taken(raw: Payload) -> Decoded:
    """Check a decoded payload.

    Raises:
        Malformed: the payload as a whole is unusable. A fault of single readings is not
            raised but listed in `refused`, so that it never costs the good ones.
    """
    check_sender(raw.boot, raw.first)
    if raw.points is None and raw.values is not None and not isinstance(raw.ts, list):
        return _decoded_single(raw.values, raw)
    return _decoded(_points_of(raw), boot=raw.boot, first=raw.first)


def taken_loosely(raw: Any) -> Decoded:
    """Check a payload decoded without types, reading by reading; raise `Malformed` as `taken`."""
    boot, first, points = _loose_points(raw)
    check_sender(boot, first)
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, one in enumerate(bounded(points)):
        try:
            point = _strict_point(one)
            readings.append(_reading(point.values, point.ts, boot, seq=point.seq))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused, first)


def identities_in(raw: Any) -> dict[int, tuple[str, int]]:
    """Return index → (boot, seq) of what a faulty payload shows, decoded without types.

    For what was refused: its sequence has its fate too, and must not look like a hole.
    """
    try:
        boot, _, points = _loose_points(raw)
        check_sender(boot, None)
    except Malformed:
        return {}
    if boot is None:
        return {}
    found = {}
    for index, point in enumerate(points[:MAX_READINGS]):
        seq = point.get("seq") if isinstance(point, dict) else None
        if type(seq) is int and 1 <= seq <= MAX_SEQ:
            found[index] = (boot, seq)
    return found


def check_sender(boot: object, first: object) -> None:
    """Check what a payload says of its sender; raise `Malformed`."""
    if boot is not None:
        if not isinstance(boot, str) or not 0 < len(boot) <= MAX_BOOT_CHARS:
            raise Malformed(f"boot is not a text of 1 to {MAX_BOOT_CHARS} characters")
        if not boot.isprintable():
            raise Malformed("boot contains a control character")
    if first is not None and (type(first) is not int or not 1 <= first <= MAX_SEQ):
        raise Malformed("first is not a sequence")


def _decoded_single(values: dict[str, Any], raw: Payload) -> Decoded:
    try:
        reading = _reading(values, raw.ts, raw.boot, seq=raw.seq)
    except Malformed as exc:
        return Decoded([], [Refusal(0, str(exc))], raw.first)
    return Decoded([reading], [], raw.first)


def _points_of(raw: Payload) -> Iterator[Point]:
    if (raw.points is None) == (raw.values is None):
        raise Malformed("payload needs either values or points")
    if raw.points is not None:
        return iter(bounded(raw.points))
    times = raw.ts if isinstance(raw.ts, list) else []
    columns = raw.values or {}
    return (Point(*row) for row in _rows_of(columns, bounded(times), raw.seq))


def _decoded(points: Iterator[Point], *, boot: str | None, first: int | None) -> Decoded:
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, point in enumerate(points):
        try:
            readings.append(_reading(point.values, point.ts, boot, seq=point.seq))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused, first)


def _rows_of(
    columns: dict[str, Any],
    times: list[Any],
    first_seq: Any,
) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Turn columns into rows (values, ts, seq); None in a column means no value in that row."""
    for name, column in columns.items():
        if not isinstance(column, list) or len(column) != len(times):
            raise Malformed(f"column {name!r} does not have one value for each ts")
    numbered = type(first_seq) is int
    for index, ts in enumerate(times):
        values = {name: column[index] for name, column in columns.items()}
        present = {name: value for name, value in values.items() if value is not None}
        yield present, ts, first_seq + index if numbered else first_seq


def _reading(
    values: dict[str, Any],
    ts: _RawTime | list[_RawTime],
    boot: str | None,
    *,
    seq: int | None,
) -> Reading:
    check_values(values)
    if seq is not None and not 1 <= seq <= MAX_SEQ:
        raise Malformed("seq is less than 1 or more than 2^63-1")
    checked: dict[MetricName, Value] = values  # type: ignore[assignment]  # names checked above
    return Reading(checked, ts if type(ts) is int else _time_ms(ts), boot, seq)


def _time_ms(ts: _RawTime | list[_RawTime]) -> int | None:
    if ts is None or isinstance(ts, int):
        return ts
    if isinstance(ts, str):
        return unix_ms(moment_of(ts))
    if isinstance(ts, list):
        raise Malformed("ts is a list, but values are not")
    if not isfinite(ts):
        raise Malformed("ts is not finite")
    return int(ts)


def _loose_points(raw: Any) -> tuple[Any, Any, list[Any]]:
    """Return boot, first and the points of a decoded payload, unchecked."""
    if not isinstance(raw, dict):
        raise Malformed("payload is not an object")
    if isinstance(raw, Twice):
        raw.refuse()
    points, values, times = raw.get("points"), raw.get("values"), raw.get("ts")
    if (points is None) == (values is None):
        raise Malformed("payload needs either values or points")
    if points is not None and not isinstance(points, list):
        raise Malformed("points is not a list")
    if points is None and isinstance(times, list):
        if isinstance(values, Twice):
            values.refuse()
        columns = values if isinstance(values, dict) else {}
        rows = _rows_of(columns, bounded(times), raw.get("seq"))
        points = [{"values": row[0], "ts": row[1], "seq": row[2]} for row in rows]
    if points is None:
        points = [{"values": values, "ts": times, "seq": raw.get("seq")}]
    return raw.get("boot"), raw.get("first"), points


def _strict_point(raw: Any) -> Point:
    for one in (raw, raw.get("values")) if isinstance(raw, dict) else ():
        if isinstance(one, Twice):
            one.refuse()
    try:
        return msgspec.convert(raw, Point)
    except msgspec.ValidationError as exc:
        raise Malformed(f"reading is not valid: {exc}") from exc
