"""A batch as sorted numpy columns: what the DuckDB adapter stores. Pure."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cloud.timeseries.port import PointsRejected
from wire.messages import Value
from wire.points import PointBatch

Ids = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Orders = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Points sorted by series, time and order, each (series, time, order) once.

    `numbers[i]` counts where `is_number[i]`; elsewhere `states` holds the i-th value's JSON.
    """

    ids: Ids
    times_ms: Times
    orders: Orders
    is_number: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.float64]
    states: npt.NDArray[np.object_]
    values: npt.NDArray[np.object_]

    def last_of_each(self) -> npt.NDArray[np.intp]:
        """Return the index of each series' newest point."""
        return np.flatnonzero(np.append(self.ids[1:] != self.ids[:-1], True))

    def value_at(self, index: int) -> Value:
        """Return one point's value as it was given."""
        if self.is_number[index]:
            return float(self.numbers[index])
        value: Value = self.values[index]
        return value


def columns_of(batch: PointBatch, ids: Ids) -> Columns:
    """Sort a batch; of points of one series, time and order the last one stays.

    Raises:
        PointsRejected: a time or an order does not fit 64 bits, or a number is not finite.
    """
    readings = batch.rows
    widths = np.fromiter(map(len, readings.values), np.intp, len(readings))
    try:
        times_ms = np.repeat(np.array(readings.ts_ms, np.int64), widths)
        orders = np.repeat(np.array(readings.order, np.int64), widths)
    except OverflowError as exc:
        raise PointsRejected("a time (in ms) or an order does not fit 64 bits") from exc
    rows = np.lexsort((orders, times_ms, ids))
    rows = rows[_last_of_equals(ids[rows], times_ms[rows], orders[rows])]
    is_number, numbers, states, values = _split(batch.values)
    if not np.isfinite(numbers).all():
        raise PointsRejected("a number is not finite")
    return Columns(
        ids[rows],
        times_ms[rows],
        orders[rows],
        is_number[rows],
        numbers[rows],
        states[rows] if len(states) else states,
        values[rows] if len(values) else values,
    )


def decode_state(state: str) -> Value:
    """Return the text or boolean that a stored state stands for."""
    return msgspec.json.decode(state, type=bool | str)


def _last_of_equals(ids: Ids, times_ms: Times, orders: Orders) -> npt.NDArray[np.bool_]:
    differs = (ids[1:] != ids[:-1]) | (times_ms[1:] != times_ms[:-1]) | (orders[1:] != orders[:-1])
    return np.append(differs, True)


def _split(
    values: list[Value],
) -> tuple[
    npt.NDArray[np.bool_],
    npt.NDArray[np.float64],
    npt.NDArray[np.object_],
    npt.NDArray[np.object_],
]:
    """Return is_number, numbers, states, values; the last two are empty when all are numbers.

    numpy alone would read True as 1.0 and "1.5" as 1.5, hence the look at the types.
    """
    nothing = np.empty(0, object)
    if set(map(type, values)) <= {float, int}:
        return np.ones(len(values), np.bool_), np.array(values, np.float64), nothing, nothing
    is_number = np.array([type(value) in (float, int) for value in values], np.bool_)
    numbers = np.array([v if type(v) in (float, int) else 0.0 for v in values], np.float64)
    states = np.array([None if n else _state(v) for v, n in zip(values, is_number, strict=True)])
    kept = np.empty(len(values), object)
    kept[:] = values
    return is_number, numbers, states.astype(object), kept


def _state(value: Value) -> str:
    return msgspec.json.encode(value).decode()
