"""Points as line protocol, one line for each reading. Pure.

A reading's numbers are the fields of one line of `telemetry`; its texts and booleans are JSON in
one of `states`, so that no field ever changes its type. The order stands in the nanoseconds below
the millisecond.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from cloud.timeseries.finite import check_finite
from cloud.timeseries.influx.names import stored_name
from cloud.timeseries.port import PointsRejected
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch, Rows, Shape

TELEMETRY, STATES = "telemetry", "states"
NS_PER_MS = 1_000_000
# Line protocol's times are 64 bits of nanoseconds, without the outermost values.
FIRST_MS, LAST_MS = -(2**63 - 2) // NS_PER_MS + 1, (2**63 - 2) // NS_PER_MS - 1
MOST_NAMES = 1_000_000

_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


class Lines(NamedTuple):
    """Lines without their ends; line i is of the reading `readings[i]`."""

    texts: list[str]
    readings: Sequence[int]


def check(batch: PointBatch) -> None:
    """See that every time and value can be stored.

    Raises:
        PointsRejected: a time does not fit 64 bits of nanoseconds, or a number is not finite.
    """
    rows = batch.rows
    if len(rows):
        _check_times(rows)
        check_finite(rows)


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
        self._templates: dict[Shape, str] = {}

    def lines(self, rows: Rows) -> Lines:
        """Return the lines of readings that were checked, in their order.

        Raises:
            PointsRejected: a name cannot be stored.
        """
        self._forget_if_many()
        is_numbers = set(map(type, chain.from_iterable(rows.values))) <= {float}
        if not is_numbers:
            self._note_mixed(rows)
        try:
            if is_numbers and not self._has_mixed(rows):
                return self._number_lines(rows)
            return self._all_lines(rows)
        except ValueError as exc:
            raise PointsRejected(f"a name cannot be stored: {exc}") from exc

    def _has_mixed(self, rows: Rows) -> bool:
        if not self.mixed:
            return False
        return any(key.metric in self.mixed for shape in set(rows.shapes) for key in shape.series)

    def _note_mixed(self, rows: Rows) -> None:
        for shape, values in zip(rows.shapes, rows.values, strict=True):
            for key, value in zip(shape.series, values, strict=True):
                if type(value) in (str, bool):
                    self.mixed.add(key.metric)

    def _number_lines(self, rows: Rows) -> Lines:
        """The fast way: one formatting for each reading."""
        templates = self._templates
        stamps = [
            ts_ms * NS_PER_MS + order % NS_PER_MS
            for ts_ms, order in zip(rows.ts_ms, rows.order, strict=True)
        ]
        columns = (rows.shapes, rows.values, stamps)
        try:
            texts = [
                templates[shape] % (*values, stamp)
                for shape, values, stamp in zip(*columns, strict=True)
            ]
        except KeyError:
            templates.update({one: self._template(one) for one in {*rows.shapes} - {*templates}})
            return self._number_lines(rows)
        return Lines(texts, range(len(texts)))

    def _template(self, shape: Shape) -> str:
        """Return what a reading of numbers looks like, but for these and its time."""
        fields = [self._field_of(key.metric).replace("%", "%%") + "%r" for key in shape.series]
        tags = self._tags_of(shape.series[0]).replace("%", "%%")
        return f"{TELEMETRY}{tags} {','.join(fields)} %d"

    def _all_lines(self, rows: Rows) -> Lines:
        texts, readings = list[str](), list[int]()
        for index, (shape, values) in enumerate(zip(rows.shapes, rows.values, strict=True)):
            numbers: list[str] = []
            states: list[str] = []
            for key, value in zip(shape.series, values, strict=True):
                field = self._field_of(key.metric)
                if type(value) not in (str, bool):
                    numbers.append(f"{field}{_number(value)}")
                if key.metric in self.mixed:
                    states.append(f"{field}{_state(value)}")
            tags = self._tags_of(shape.series[0])
            stamp = time_ns(rows.ts_ms[index], rows.order[index])
            for measurement, fields in ((TELEMETRY, numbers), (STATES, states)):
                if fields:
                    texts.append(f"{measurement}{tags} {','.join(fields)} {stamp}")
                    readings.append(index)
        return Lines(texts, readings)

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
        if len(self._tags) + len(self._fields) + len(self._templates) > MOST_NAMES:
            self._templates.clear()
            self._tags.clear()
            self._fields.clear()


def _check_times(rows: Rows) -> None:
    if min(rows.ts_ms) < FIRST_MS or max(rows.ts_ms) > LAST_MS:
        raise PointsRejected("a time does not fit 64 bits of nanoseconds (the years 1678 to 2261)")


def _number(value: Value) -> str:
    """Return a number as a float; without a point or exponent a whole one is a float, too."""
    return repr(float(value))


def _state(value: Value) -> str:
    """Return a value's JSON as a quoted text."""
    text = value if type(value) in (str, bool) else float(value)
    json = msgspec.json.encode(text).decode()
    return '"' + json.replace("\\", "\\\\").replace('"', '\\"') + '"'
