"""Readings as VictoriaMetrics imports them: a line of JSON for each series. Pure."""

from collections import defaultdict
from itertools import chain

import msgspec

from cloud.timeseries.finite import check_finite
from cloud.timeseries.port import PointsRejected
from cloud.timeseries.victoria.samples import NUMBERS, STATES, Limits, to_json
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import Rows, Shape

_MOST_SHAPES = 500_000
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class Encoded(msgspec.Struct):
    """Lines to import, and all of them as they are sent.

    Line i has samples of the readings `readings[i]`; `refused` are the readings of which some
    value is in no line.
    """

    lines: list[str]
    readings: list[list[int]]
    refused: dict[int, str]
    body: bytes


class Encoder:
    """Writes readings as lines, a series each, and remembers how series are called.

    Of one thread at a time.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._heads: dict[Shape, list[str]] = {}

    def encode(self, rows: Rows, limits: Limits) -> Encoded:
        """Return readings as lines.

        Raises:
            PointsRejected: a number is not finite, or a time does not fit 64 bits.
        """
        _check(rows)
        is_believed = limits.oldest_ms <= min(rows.ts_ms) and max(rows.ts_ms) <= limits.newest_ms
        if is_believed and set(map(type, chain.from_iterable(rows.values))) == {float}:
            return self._numbers(rows)
        return self._all(rows, limits)

    def _numbers(self, rows: Rows) -> Encoded:
        """The fast way: all readings of one shape have their times in common."""
        indexes_of: dict[Shape, list[int]] = {}
        for index, shape in enumerate(rows.shapes):
            indexes = indexes_of.get(shape)
            if indexes is None:
                indexes = indexes_of[shape] = []
            indexes.append(index)
        lines, readings = list[str](), list[list[int]]()
        for shape, indexes in indexes_of.items():
            stamps = to_json([rows.ts_ms[index] for index in indexes])
            columns = zip(*[rows.values[index] for index in indexes], strict=True)
            for head, column in zip(self._heads_of(shape), columns, strict=True):
                lines.append(f'{head}{to_json(column)},"timestamps":{stamps}}}')
                readings.append(indexes)
        return Encoded(lines, readings, {}, _body(lines))

    def _heads_of(self, shape: Shape) -> list[str]:
        heads = self._heads.get(shape)
        if heads is None:
            if len(self._heads) >= _MOST_SHAPES:
                # They are quickly made again.
                self._heads.clear()
            heads = self._heads[shape] = [_head(key, "", self._database) for key in shape.series]
        return heads

    def _all(self, rows: Rows, limits: Limits) -> Encoded:
        refused: dict[int, str] = {}
        samples: dict[tuple[SeriesKey, str], _Samples] = defaultdict(_Samples)
        for index, (shape, ts_ms, values) in enumerate(
            zip(rows.shapes, rows.ts_ms, rows.values, strict=True)
        ):
            for key, value in zip(shape.series, values, strict=True):
                state = "" if type(value) not in (str, bool) else to_json(value)
                fault = _fault(state, ts_ms, limits)
                if fault:
                    refused[index] = fault
                else:
                    samples[key, state].add(index, ts_ms, value)
        lines = [_line(*whose, self._database, found) for whose, found in samples.items()]
        readings = [found.readings for found in samples.values()]
        return Encoded(lines, readings, refused, _body(lines))


class _Samples:
    """The samples of a line, and whose readings they are."""

    __slots__ = ("readings", "timestamps", "values")

    def __init__(self) -> None:
        self.readings, self.timestamps, self.values = list[int](), list[int](), list[Value]()

    def add(self, reading: int, ts_ms: int, value: Value) -> None:
        self.readings.append(reading)
        self.timestamps.append(ts_ms)
        self.values.append(value)


def _line(key: SeriesKey, state: str, database: str, samples: _Samples) -> str:
    values = [1] * len(samples.values) if state else samples.values
    head = _head(key, state, database)
    return f'{head}{to_json(values)},"timestamps":{to_json(samples.timestamps)}}}'


def _head(key: SeriesKey, state: str, database: str) -> str:
    """Return how a series' line begins, up to its values."""
    metric = {"__name__": STATES if state else NUMBERS, **key._asdict()}
    if database:
        metric["db"] = database
    if state:
        metric["state"] = state
    return f'{{"metric":{to_json(metric)},"values":'


def _body(lines: list[str]) -> bytes:
    return "\n".join(lines).encode()


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


def probe(database: str, ts_ms: int) -> str:
    """Return a line that nothing can be wrong with."""
    metric = {"__name__": "tidegate_probe"} | ({"db": database} if database else {})
    return to_json({"metric": metric, "values": [1], "timestamps": [ts_ms]})
