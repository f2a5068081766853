"""Our JSON payload: single, batch and columnar (`DESIGN`: public surface), to and from bytes."""

import math
from datetime import datetime
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
    raw = _decode(_payloads, payload)
    if raw.boot is not None and not 0 < len(raw.boot) <= MAX_BOOT_CHARS:
        raise Malformed(f"boot is empty or longer than {MAX_BOOT_CHARS} characters")
    if (raw.points is None) == (raw.values is None):
        raise Malformed("payload needs either values or points")
    if raw.points is not None:
        points = raw.points
    elif isinstance(raw.ts, list):
        points = _rows_of(raw, raw.ts)
    else:
        points = [_Point(_scalars(raw.values), raw.ts, raw.seq)]
    return _readings(points, boot=raw.boot, first=raw.first)


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


def _scalars(values: dict[str, Any] | None) -> dict[str, _RawValue]:
    for name, value in (values or {}).items():
        if isinstance(value, list):
            raise Malformed(f"value of {name!r} is a list, but ts is not")
    return values or {}


def _rows_of(raw: _Payload, times: list[_RawTime]) -> list[_Point]:
    """Turn columns into rows; a None in a column means no value in that row."""
    columns = raw.values or {}
    for name, column in columns.items():
        if not isinstance(column, list) or len(column) != len(times):
            raise Malformed(f"column {name!r} does not have one value for each ts")
    rows = []
    for index, ts in enumerate(times):
        values: dict[str, _RawValue] = {
            name: column[index] for name, column in columns.items() if isinstance(column, list)
        }
        seq = None if raw.seq is None else raw.seq + index
        rows.append(_Point({n: v for n, v in values.items() if v is not None}, ts, seq))
    return rows


def _readings(points: list[_Point], *, boot: str | None, first: int | None) -> Decoded:
    if len(points) > MAX_READINGS:
        raise Malformed(f"payload has more than {MAX_READINGS} readings")
    readings: list[Reading] = []
    refused: list[Refusal] = []
    for index, point in enumerate(points):
        try:
            readings.append(_reading(point, boot))
        except Malformed as exc:
            refused.append(Refusal(index, str(exc)))
    return Decoded(readings, refused, first)


def _reading(point: _Point, boot: str | None) -> Reading:
    if not point.values:
        raise Malformed("reading has no values")
    if len(point.values) > MAX_VALUES:
        raise Malformed(f"reading has more than {MAX_VALUES} values")
    if point.seq is not None and point.seq < 1:
        raise Malformed("seq is less than 1")
    values = {_name(name): _value(name, value) for name, value in point.values.items()}
    return Reading(values, _time_ms(point.ts), boot, point.seq)


_checked_names: dict[str, MetricName] = {}
_MAX_CHECKED_NAMES = 10_000


def _name(text: str) -> MetricName:
    """Check a metric's name once; the same few names come in nearly every payload."""
    name = _checked_names.get(text)
    if name is None:
        name = metric_name(text)
        if len(_checked_names) < _MAX_CHECKED_NAMES:
            _checked_names[text] = name
    return name


def _value(name: str, value: _RawValue) -> Value:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Malformed(f"value of {name!r} is not finite")
        return value
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        raise Malformed(f"value of {name!r} is longer than {MAX_TEXT_CHARS} characters")
    if value is None:
        raise Malformed(f"value of {name!r} is null")
    return value


def _time_ms(ts: _RawTime) -> int | None:
    if ts is None:
        return None
    if isinstance(ts, str):
        return _rfc3339_ms(ts)
    if not math.isfinite(ts):
        raise Malformed("ts is not finite")
    return int(ts)


def _rfc3339_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Malformed("ts is neither milliseconds nor RFC 3339") from exc
    if moment.tzinfo is None:
        raise Malformed("ts has no offset from UTC")
    return round(moment.timestamp() * _MS_PER_S)
