"""Sparkplug B payloads (version 3.0), from and to bytes.

What a sender puts in beside what we use is skipped. Metrics are bytes of their own to the outer
message: they are counted before any is read, and a broken one costs only itself.
"""

from math import isfinite
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from wire.codecs.checks import MAX_READINGS, MAX_TEXT_CHARS, check_size
from wire.codecs.sparkplug_messages import MetricMessage, PayloadMessage
from wire.codecs.sparkplug_types import (
    FIELD_BITS,
    DataType,
    Kind,
    encoded_integer,
    integer_of,
    kinds_of,
)
from wire.errors import Malformed
from wire.messages import Value

MAX_METRICS = MAX_READINGS
MAX_METRIC_NAME_BYTES = 1_024
MAX_SEQ = 255


class Metric(msgspec.Struct, frozen=True):
    """One metric as it was sent: `raw` is the content of the value field `kind`.

    `value_of` makes a value of it. In data messages the name may be left out for its alias, and
    the data type because the birth has told it. `fault` says why nothing of it can be used.
    """

    name: str | None = None
    alias: int | None = None
    ts_ms: int | None = None
    datatype: int | None = None
    kind: Kind | None = None
    raw: int | float | bool | str | None = None
    is_null: bool = False
    is_historical: bool = False
    is_transient: bool = False
    fault: str | None = None


class Payload(msgspec.Struct, frozen=True):
    """A payload; `seq` is missing in deaths of nodes and in commands."""

    metrics: list[Metric]
    ts_ms: int | None = None
    seq: int | None = None


_NOT_TAKEN = {
    16: "a data set",
    17: "bytes",
    18: "a file",
    19: "a template",
    20: "a property set",
    21: "a list of property sets",
    **dict.fromkeys(range(22, 35), "an array"),
}
_UNUSED_FIELDS = {
    "bytes": "bytes",
    "data_set": "a data set",
    "template": "a template",
    "extension": "an extension",
}
_ONLY_SINGLE = "only single values are taken"


def decode(payload: bytes) -> Payload:
    """Decode a payload.

    Raises:
        Malformed: it is no such payload, or it is too large. What is wrong with single metrics
            stands in their `fault`.
    """
    check_size(payload)
    try:
        message = PayloadMessage.FromString(payload)
    except DecodeError as exc:
        raise Malformed("payload is not valid Sparkplug B") from exc
    if len(message.metrics) > MAX_METRICS:
        raise Malformed(f"payload has more than {MAX_METRICS} metrics")
    seq = _present(message, "seq")
    if seq is not None and seq > MAX_SEQ:
        raise Malformed(f"seq is more than {MAX_SEQ}")
    metrics = [_metric(data) for data in message.metrics]
    return Payload(metrics, _present(message, "timestamp"), seq)


def encode(payload: Payload) -> bytes:
    """Encode a payload; a metric's `fault` is not sent."""
    message = PayloadMessage(metrics=[_encoded(metric) for metric in payload.metrics])
    if payload.ts_ms is not None:
        message.timestamp = payload.ts_ms
    if payload.seq is not None:
        message.seq = payload.seq
    encoded: bytes = message.SerializeToString()
    return encoded


def value_of(metric: Metric, datatype: int | None) -> Value:
    """Return a metric's value as one of our types; numbers are floats.

    `datatype` is what the birth or the metric itself says. Without one, only what its field
    leaves no doubt of can be told.

    Raises:
        Malformed: it has none that we take, or one that is not of its type.
    """
    if datatype in _NOT_TAKEN:
        raise Malformed(f"is {_NOT_TAKEN[datatype]}: {_ONLY_SINGLE}")
    if metric.fault is not None:
        raise Malformed(metric.fault)
    kind, raw = metric.kind, metric.raw
    if kind is None:
        raise Malformed("has no value")
    if datatype is None and kind in FIELD_BITS:
        raise Malformed("has no data type: neither its birth nor itself tells it")
    if datatype is not None and kind not in kinds_of(datatype):
        raise Malformed(f"has a value of another kind ({kind}) than its data type {datatype}")
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return _text(raw)
    if isinstance(raw, int) and datatype is not None:
        return float(integer_of(raw, datatype, field=kind))
    number = float(raw or 0.0)
    if not isfinite(number):
        raise Malformed("has a value that is not finite")
    return number


def sent(name: str, value: Value, datatype: DataType, **more: Any) -> Metric:
    """Return a metric that tells a value; raise `Malformed` when the type cannot hold it."""
    kind = kinds_of(datatype)[0]
    raw: Value | int = value
    if kind in FIELD_BITS:
        kind, raw = encoded_integer(int(value), datatype)
    metric = Metric(name, datatype=datatype, kind=kind, raw=raw, **more)
    if value_of(metric, datatype) != value:
        raise Malformed(f"{value!r} does not fit data type {datatype}")
    return metric


def _metric(data: bytes) -> Metric:
    try:
        message = MetricMessage.FromString(data)
        name = _name(message.name) if message.HasField("name") else None
        kind = message.WhichOneof("value")
        raw = getattr(message, kind) if kind else None
        if isinstance(raw, bytes) and kind == "string":
            raw = _utf8(raw)
    except (DecodeError, Malformed) as exc:
        reason = str(exc) if isinstance(exc, Malformed) else "cannot be decoded"
        return Metric(fault=reason)
    unused = _UNUSED_FIELDS.get(kind)
    return Metric(
        name,
        _present(message, "alias"),
        _present(message, "timestamp"),
        _present(message, "datatype"),
        None if unused else kind,
        None if unused else raw,
        is_null=message.is_null,
        is_historical=message.is_historical,
        is_transient=message.is_transient,
        fault=f"is {unused}: {_ONLY_SINGLE}" if unused else None,
    )


def _encoded(metric: Metric) -> bytes:
    message = MetricMessage()
    fields: dict[str, object] = {
        "name": None if metric.name is None else metric.name.encode(),
        "alias": metric.alias,
        "timestamp": metric.ts_ms,
        "datatype": metric.datatype,
        "is_null": metric.is_null or None,
        "is_historical": metric.is_historical or None,
        "is_transient": metric.is_transient or None,
    }
    if metric.kind is not None:
        raw = metric.raw
        fields[metric.kind] = raw.encode() if isinstance(raw, str) else raw
    for field, content in fields.items():
        if content is not None:
            setattr(message, field, content)
    encoded: bytes = message.SerializeToString()
    return encoded


def _present(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _name(data: bytes) -> str:
    if len(data) > MAX_METRIC_NAME_BYTES:
        raise Malformed(f"has a name of more than {MAX_METRIC_NAME_BYTES} bytes")
    return _utf8(data)


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise Malformed("holds a text that is not UTF-8") from exc


def _text(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise Malformed(f"has a text of more than {MAX_TEXT_CHARS} characters")
    return text
