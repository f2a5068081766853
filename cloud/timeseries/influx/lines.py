"""Points as line protocol, one line for each reading. Pure.

A reading is what stands together in a batch: points of one device, time and order. Its numbers
are the fields of one line of `telemetry`; its texts and booleans are JSON in one of `states`, so
that no field ever changes its type. The order stands in the nanoseconds below the millisecond.
"""

from itertools import compress, pairwise
from operator import ne, or_
from typing import NamedTuple

import msgspec

from cloud.timeseries.finite import check_finite
from cloud.timeseries.influx.names import stored_name
from cloud.timeseries.port import PointsRejected
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

TELEMETRY, STATES = "telemetry", "states"
NS_PER_MS = 1_000_000
# Line protocol's times are 64 bits of nanoseconds, without the outermost values.
FIRST_MS, LAST_MS = -(2**63 - 2) // NS_PER_MS + 1, (2**63 - 2) // NS_PER_MS - 1
MOST_NAMES = 1_000_000

_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


class Lines(NamedTuple):
    """Lines without their ends; `spans[i]` is (first, stop) of the points in line i."""

    texts: list[str]
    spans: list[tuple[int, int]]


def check(batch: PointBatch) -> None:
    """See that every time and value can be stored.

    Raises:
        PointsRejected: a time does not fit 64 bits of nanoseconds, or a number is not finite.
    """
    if len(batch):
        _check_times(batch)
        check_finite(batch.values)


def time_ns(ts_ms: int, order: int) -> int:
    """Return the stored time of a point: its order stands below its millisecond."""
    return ts_ms * NS_PER_MS + order % NS_PER_MS


class Encoder:
    """Writes batches as lines, and remembers how names are written. Of one thread at a time.

    `mixed` are the metrics of which a text or a boolean was ever stored, by any device: their
    numbers are written as states as well, so that of two values of one point the later wins
    whatever its kind.
    """

    def __init__(self) -> None:
        self.mixed: set[str] = set()
        self._tags: dict[tuple[str, str], str] = {}
        self._fields: dict[str, str] = {}

    def lines(self, batch: PointBatch) -> Lines:
        """Return the lines of a batch that was checked, in its order.

        Raises:
            PointsRejected: a name cannot be stored.
        """
        if not len(batch):
            return Lines([], [])
        self._forget_if_many()
        kinds = set(map(type, batch.values))
        if not kinds <= {float, int}:
            self._note_mixed(batch)
        try:
            if kinds == {float} and self.mixed.isdisjoint(self._metrics(batch)):
                return self._number_lines(batch)
            return self._all_lines(batch)
        except ValueError as exc:
            raise PointsRejected(f"a name cannot be stored: {exc}") from exc

    def _metrics(self, batch: PointBatch) -> set[str]:
        return {key[2] for key in batch.series} if self.mixed else set()

    def _note_mixed(self, batch: PointBatch) -> None:
        for key, value in zip(batch.series, batch.values, strict=True):
            if type(value) in (str, bool):
                self.mixed.add(key.metric)

    def _number_lines(self, batch: PointBatch) -> Lines:
        """The fast way: column by column, and one turn of a loop for each reading."""
        series, ts_ms, orders, tags_of = batch.series, batch.ts_ms, batch.order, self._tags_of
        fields = self._field_columns(batch)
        spans = list(pairwise(_starts(batch)))
        texts = [
            f"{TELEMETRY}{tags_of(series[first])} {','.join(fields[first:stop])} "
            f"{ts_ms[first] * NS_PER_MS + orders[first] % NS_PER_MS}"
            for first, stop in spans
        ]
        return Lines(texts, spans)

    def _field_columns(self, batch: PointBatch) -> list[str]:
        names = self._fields
        numbers = map(float.__repr__, batch.values)
        metrics = [key[2] for key in batch.series]
        try:
            return [names[metric] + number for metric, number in zip(metrics, numbers, strict=True)]
        except KeyError:
            for metric in set(metrics):
                self._field_of(metric)
            return self._field_columns(batch)

    def _all_lines(self, batch: PointBatch) -> Lines:
        lines = Lines([], [])
        for first, stop in pairwise(_starts(batch)):
            numbers: list[str] = []
            states: list[str] = []
            for key, value in zip(batch.series[first:stop], batch.values[first:stop], strict=True):
                field = self._field_of(key.metric)
                if type(value) not in (str, bool):
                    numbers.append(f"{field}{_number(value)}")
                if key.metric in self.mixed:
                    states.append(f"{field}{_state(value)}")
            tags = self._tags_of(batch.series[first])
            stamp = time_ns(batch.ts_ms[first], batch.order[first])
            for measurement, fields in ((TELEMETRY, numbers), (STATES, states)):
                if fields:
                    lines.texts.append(f"{measurement}{tags} {','.join(fields)} {stamp}")
                    lines.spans.append((first, stop))
        return lines

    def _tags_of(self, key: SeriesKey) -> str:
        whose = (key[0], key[1])
        tags = self._tags.get(whose)
        if tags is None:
            tenant, device = stored_name(key.tenant), stored_name(key.device)
            tags = f",device={device.translate(_TAG)},tenant={tenant.translate(_TAG)}"
            self._tags[whose] = tags
        return tags

    def _field_of(self, metric: str) -> str:
        field = self._fields.get(metric)
        if field is None:
            field = self._fields[metric] = f"{stored_name(metric).translate(_TAG)}="
        return field

    def _forget_if_many(self) -> None:
        """Begin anew before the names take too much memory; they are quickly made again."""
        if len(self._tags) + len(self._fields) > MOST_NAMES:
            self._tags.clear()
            self._fields.clear()


def _starts(batch: PointBatch) -> list[int]:
    """Return where each reading begins, and the end; without a turn of a loop for each point."""
    tenants = [key[0] for key in batch.series]
    devices = [key[1] for key in batch.series]
    changes = map(ne, batch.ts_ms, batch.ts_ms[1:])
    for column in (batch.order, devices, tenants):
        changes = map(or_, changes, map(ne, column, column[1:]))
    return [0, *compress(range(1, len(batch)), changes), len(batch)]


def _check_times(batch: PointBatch) -> None:
    if min(batch.ts_ms) < FIRST_MS or max(batch.ts_ms) > LAST_MS:
        raise PointsRejected("a time does not fit 64 bits of nanoseconds (the years 1678 to 2261)")


def _number(value: Value) -> str:
    """Return a number as a float; without a point or exponent a whole one is a float, too."""
    return repr(float(value))


def _state(value: Value) -> str:
    """Return a value's JSON as a quoted text."""
    text = value if type(value) in (str, bool) else float(value)
    json = msgspec.json.encode(text).decode()
    return '"' + json.replace("\\", "\\\\").replace('"', '\\"') + '"'
