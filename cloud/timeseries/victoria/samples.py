"""Points as VictoriaMetrics takes and gives them: series of samples in JSON, line by line. Pure.

Numbers are `telemetry{tenant, device, metric}`; a text or a boolean is a sample 1 of
`telemetry_state{tenant, device, metric, state}`, whose `state` is its JSON. So names and values of
any characters come back as they were. Times are milliseconds, and a series has at most one sample
of a millisecond and a value: the order that tells readings of the same millisecond apart is lost.
"""

from typing import Any

import msgspec

from cloud.timeseries.finite import check_finite
from cloud.timeseries.port import PointsRejected
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch, Rows

NUMBERS, STATES = "telemetry", "telemetry_state"
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class Limits(msgspec.Struct, frozen=True):
    """What the server would drop without a word: other times (ms), longer states (bytes)."""

    oldest_ms: int
    newest_ms: int
    state_bytes: int


class Samples(msgspec.Struct):
    """Some samples of one series, as the server's export writes them."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


class Encoded(msgspec.Struct):
    """Lines to import; line i has samples of the readings `readings[i]`.

    `refused` are the readings of which some value is in no line.
    """

    lines: list[str]
    readings: list[list[int]]
    refused: dict[int, str]


def encode(batch: PointBatch, database: str, limits: Limits) -> Encoded:
    """Return a batch as lines, a series each.

    Raises:
        PointsRejected: a number is not finite, or a time does not fit 64 bits.
    """
    rows = batch.rows
    _check(rows)
    refused: dict[int, str] = {}
    samples: dict[tuple[SeriesKey, str], _Samples] = {}
    for index, (shape, ts_ms, values) in enumerate(
        zip(rows.shapes, rows.ts_ms, rows.values, strict=True)
    ):
        for key, value in zip(shape.series, values, strict=True):
            state = "" if type(value) not in (str, bool) else _json(value)
            fault = _fault(state, ts_ms, limits)
            if fault:
                refused[index] = fault
            else:
                samples.setdefault((key, state), _Samples()).add(index, ts_ms, value)
    lines = [_line(*whose, database, found) for whose, found in samples.items()]
    return Encoded(lines, [found.readings for found in samples.values()], refused)


class _Samples:
    """The samples of a line, and whose readings they are."""

    __slots__ = ("readings", "timestamps", "values")

    def __init__(self) -> None:
        self.readings, self.timestamps, self.values = list[int](), list[int](), list[Value]()

    def add(self, reading: int, ts_ms: int, value: Value) -> None:
        self.readings.append(reading)
        self.timestamps.append(ts_ms)
        self.values.append(value)


def value_of(metric: dict[str, str], number: float) -> Value:
    """Return the value that a sample stands for."""
    state = metric.get("state")
    if state is None or metric.get("__name__", STATES) != STATES:
        return number
    value: Value = msgspec.json.decode(state, type=bool | str)
    return value


def key_of(metric: dict[str, str]) -> SeriesKey:
    """Return whose series it is."""
    return SeriesKey(
        TenantId(metric["tenant"]), DeviceId(metric["device"]), MetricName(metric["metric"])
    )


def selector(
    names: str, database: str, *, tenant: str | None, device: str | None, metric: str | None = None
) -> str:
    """Return a selector of series of ours: `names` is a pattern, None stands for all.

    Without a database only those without one: other installations' are not ours.
    """
    parts = [f'__name__=~"{names}"', f"db={_json(database)}"]
    for label, text in (("tenant", tenant), ("device", device), ("metric", metric)):
        # Somebody else's series of the same name do not have it.
        parts.append(f'{label}!=""')
        if text is not None:
            parts.append(f"{label}={_json(text)}")
    return "{" + ",".join(parts) + "}"


def probe(database: str, ts_ms: int) -> str:
    """Return a line that nothing can be wrong with."""
    metric = {"__name__": "tidegate_probe"} | ({"db": database} if database else {})
    return _json({"metric": metric, "values": [1], "timestamps": [ts_ms]})


def _line(key: SeriesKey, state: str, database: str, samples: _Samples) -> str:
    metric = {"__name__": STATES if state else NUMBERS, **key._asdict()}
    if database:
        metric["db"] = database
    if state:
        metric["state"] = state
    values = [1] * len(samples.values) if state else samples.values
    return _json({"metric": metric, "values": values, "timestamps": samples.timestamps})


def _check(rows: Rows) -> None:
    if min(rows.ts_ms) < _INT64_MIN or max(rows.ts_ms) > _INT64_MAX:
        raise PointsRejected("a time (in ms) does not fit 64 bits")
    check_finite(rows)


def _fault(state: str, ts_ms: int, limits: Limits) -> str | None:
    if ts_ms < limits.oldest_ms:
        return (
            "older than VictoriaMetrics keeps (its flag -retentionPeriod), or of before 1970-01-02"
        )
    if ts_ms > limits.newest_ms:
        return "more than two days in the future, which VictoriaMetrics does not take"
    if len(state.encode()) > limits.state_bytes:
        return f"a text of more than {limits.state_bytes} bytes as JSON (flag -maxLabelValueLen)"
    return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
