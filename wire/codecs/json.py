"""Our JSON payload: single, batch and columnar (`DESIGN`: public surface), to and from bytes.

Nearly every payload is well formed, so it is decoded once into typed structs. Only when that
fails is it looked at again, reading by reading, to save the good ones and to name the others.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from typing import Any, TypeVar

import msgspec

from wire.errors import Malformed
from wire.ids import MetricName, metric_name
from wire.messages import Ack, Decoded, Reading, Refusal, Status, Value

MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_READINGS = 10_000
MAX_VALUES = 1_000
MAX_TEXT_CHARS = 4_096
MAX_BOOT_CHARS = 64
MAX_SEQ = 2**63 - 1
_MS_PER_S = 1_000

T = TypeVar("T")

_RawValue = bool | float | str | None
_RawTime = int | float | str | None


class _Point(msgspec.Struct):
    values: dict[str, _RawValue]
    ts: _RawTime = None
    seq: int | None = None


class _Payload(msgspec.Struct):
    """The union of the three shapes; which one it is, `decode` tells by what is present."""

    ts: _RawTime | list[_RawTime] = None
    boot: str | None = None
    seq: int | None = None
    first: int | None = None
    values: dict[str, _RawValue | list[_RawValue]] | None = None
    points: list[_Point] | None = None


_payloads = msgspec.json.Decoder(_Payload)
_acks = msgspec.json.Decoder(Ack)
_statuses = msgspec.json.Decoder(Status)


def decode_telemetry(payload: bytes) -> Decoded:
    """Decode a telemetry payload of any of the three shapes.

    Raises:
        Malformed: the payload as a whole is unusable. A fault of single readings is not
            raised but listed in `refused`, so that it never costs the good ones.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed(f"payload is larger than {MAX_PAYLOAD_BYTES} bytes")
    try:
        raw = _payloads.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        return _decode_loosely(payload, exc)
    _check_sender(raw.boot, raw.first)
    if raw.points is None and raw.values is not None and not isinstance(raw.ts, list):
        return _decoded_single(raw.values, raw)
    return _decoded(_points_of(raw), boot=raw.boot, first=raw.first)


def identities(payload: bytes) -> dict[int, tuple[str, int]]:
    """Return index → (boot, seq) of the readings of a faulty payload, as far as it shows them.

    For what was refused: its sequence has its fate too, and must not look like a hole.
    A payload that is too large shows none: reading it is what the limit forbids.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        return {}
    try:
        boot, _, points = _loose_points(_loads(payload))
        _check_sender(boot, None)
    except (ValueError, RecursionError):
        return {}
    if boot is None:
        return {}
    found = {}
    for index, point in enumerate(points[:MAX_READINGS]):
        seq = point.get("seq") if isinstance(point, dict) else None
        if type(seq) is int and 1 <= seq <= MAX_SEQ:
            found[index] = (boot, seq)
    return found


def encode_telemetry(readings: list[Reading], *, boot: str, first: int | None = None) -> bytes:
    """Encode readings of one boot as a batch; `first` as in `Decoded`."""
    points = [
        {"ts": reading.ts_ms, "seq": reading.seq, "values": reading.values} for reading in readings
    ]
    batch: dict[str, object] = {"boot": boot, "points": points}
    if first is not None:
        batch["first"] = first
    return msgspec.json.encode(batch)


def decode_ack(payload: bytes) -> Ack:
    """Decode an end-to-end acknowledgement; raise `Malformed`."""
    return _decode(_acks, payload)


def decode_status(payload: bytes) -> Status:
    """Decode a birth or last will; raise `Malformed`."""
    return _decode(_statuses, payload)


def encode(message: Ack | Status) -> bytes:
    """Encode an acknowledgement or a status."""
    return msgspec.json.encode(message)


def _decode(decoder: "msgspec.json.Decoder[T]", payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed(f"payload is not valid: {exc}") from exc


def _check_sender(boot: object, first: object) -> None:
    if boot is not None:
        if not isinstance(boot, str) or not 0 < len(boot) <= MAX_BOOT_CHARS:
            raise Malformed(f"boot is not a text of 1 to {MAX_BOOT_CHARS} characters")
        if not boot.isprintable():
            raise Malformed("boot contains a control character")
    if first is not None and (type(first) is not int or not 1 <= first <= MAX_SEQ):
        raise Malformed("first is not a sequence")


def _decoded_single(values: dict[str, Any], raw: _Payload) -> Decoded:
    try:
        reading = _reading(values, raw.ts, raw.boot, seq=raw.seq)
    except Malformed as exc:
        return Decoded([], [Refusal(0, str(exc))], raw.first)
    return Decoded([reading], [], raw.first)


def _points_of(raw: _Payload) -> Iterator[_Point]:
    if (raw.points is None) == (raw.values is None):
        raise Malformed("payload needs either values or points")
    if raw.points is not None:
        return iter(_bounded(raw.points))
    times = raw.ts if isinstance(raw.ts, list) else []
    columns = raw.values or {}
    return (_Point(*row) for row in _rows_of(columns, _bounded(times), raw.seq))


def _decoded(points: Iterator[_Point], *, boot: str | None, first: int | None) -> Decoded:
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, point in enumerate(points):
        try:
            readings.append(_reading(point.values, point.ts, boot, seq=point.seq))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused, first)


def _bounded(rows: list[T]) -> list[T]:
    if len(rows) > MAX_READINGS:
        raise Malformed(f"payload has more than {MAX_READINGS} readings")
    return rows


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


_checked_names: set[str] = set()
_MAX_CHECKED_NAMES = 10_000


def _reading(
    values: dict[str, Any],
    ts: _RawTime | list[_RawTime],
    boot: str | None,
    *,
    seq: int | None,
) -> Reading:
    """Check one reading; the same few names come in nearly every payload: checked once."""
    if not values or len(values) > MAX_VALUES:
        raise Malformed(f"reading has more than {MAX_VALUES} values" if values else _NO_VALUES)
    for name, value in values.items():
        if name not in _checked_names:
            _check_name(name)
        if type(value) is not float or not isfinite(value):
            _check_value(name, value)
    if seq is not None and not 1 <= seq <= MAX_SEQ:
        raise Malformed("seq is less than 1 or more than 2^63-1")
    checked: dict[MetricName, Value] = values  # type: ignore[assignment]  # names checked above
    return Reading(checked, ts if type(ts) is int else _time_ms(ts), boot, seq)


_NO_VALUES = "reading has no values"


def _check_name(text: str) -> None:
    metric_name(text)
    if len(_checked_names) < _MAX_CHECKED_NAMES:
        _checked_names.add(text)


def _check_value(name: str, value: _RawValue | list[_RawValue]) -> None:
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


def _time_ms(ts: _RawTime | list[_RawTime]) -> int | None:
    if ts is None or isinstance(ts, int):
        return ts
    if isinstance(ts, str):
        return _rfc3339_ms(ts)
    if isinstance(ts, list):
        raise Malformed("ts is a list, but values are not")
    if not isfinite(ts):
        raise Malformed("ts is not finite")
    return int(ts)


def _rfc3339_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Malformed("ts has no offset from UTC")
        return round(moment.timestamp() * _MS_PER_S)
    except OverflowError as exc:
        raise Malformed("ts is out of range") from exc
    except ValueError as exc:
        if isinstance(exc, Malformed):
            raise
        raise Malformed("ts is neither milliseconds nor RFC 3339") from exc


def _decode_loosely(payload: bytes, fault: Exception) -> Decoded:
    """Decode what the strict decoder refused, reading by reading; NaN and Infinity are read."""
    try:
        boot, first, points = _loose_points(_loads(payload))
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed(f"payload is not valid: {fault}") from fault
    _check_sender(boot, first)
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, raw in enumerate(_bounded(points)):
        try:
            point = _strict_point(raw)
            readings.append(_reading(point.values, point.ts, boot, seq=point.seq))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused, first)


def _loads(payload: bytes) -> Any:
    return json.loads(payload.decode())


def _loose_points(raw: Any) -> tuple[Any, Any, list[Any]]:
    """Return boot, first and the points of a decoded payload, unchecked."""
    if not isinstance(raw, dict):
        raise Malformed("payload is not an object")
    points, values, times = raw.get("points"), raw.get("values"), raw.get("ts")
    if (points is None) == (values is None):
        raise Malformed("payload needs either values or points")
    if points is not None and not isinstance(points, list):
        raise Malformed("points is not a list")
    if points is None and isinstance(times, list):
        columns = values if isinstance(values, dict) else {}
        rows = _rows_of(columns, times, raw.get("seq"))
        points = [{"values": row[0], "ts": row[1], "seq": row[2]} for row in rows]
    if points is None:
        points = [{"values": values, "ts": times, "seq": raw.get("seq")}]
    return raw.get("boot"), raw.get("first"), points


def _strict_point(raw: Any) -> _Point:
    try:
        return msgspec.convert(raw, _Point)
    except msgspec.ValidationError as exc:
        raise Malformed(f"reading is not valid: {exc}") from exc
