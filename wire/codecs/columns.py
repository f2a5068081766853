"""Columns that need no look at single readings: numbers only, all timed and numbered. Pure.

A payload of columns that is anything else is as good, but taken apart reading by reading.
"""

from math import isfinite
from typing import Any

from wire.codecs.checks import MAX_READINGS, MAX_VALUES, check_names
from wire.codecs.telemetry import MAX_SEQ, Payload, check_sender, taken
from wire.errors import Malformed
from wire.ids import MetricName
from wire.messages import Decoded, Table


def taken_in_columns(raw: Payload) -> Decoded | Table:
    """Check a decoded payload, as `wire.codecs.telemetry.taken` does; a table where it is one."""
    if type(raw.ts) is list and raw.points is None:
        return _table(raw) or taken(raw)
    return taken(raw)


def _table(raw: Payload) -> Table | None:
    """Return a payload's columns; None when only `taken` can say what they are."""
    times: Any = raw.ts
    columns: dict[str, Any] = raw.values or {}
    count = len(times)
    if raw.boot is None or raw.seq is None or not 1 <= raw.seq <= MAX_SEQ - count:
        return None
    if not 1 <= count <= MAX_READINGS or not 1 <= len(columns) <= MAX_VALUES:
        return None
    if set(map(type, times)) != {int} or not all(
        _is_of_numbers(column, count) for column in columns.values()
    ):
        return None
    check_sender(raw.boot, raw.first)
    try:
        check_names(columns)
    except Malformed:
        # A fault of each reading, not of the payload.
        return None
    names = tuple(map(MetricName, columns))
    return Table(names, times, list(columns.values()), raw.boot, raw.seq, raw.first)


def _is_of_numbers(column: Any, count: int) -> bool:
    """Return whether a column has finite numbers only, one for each reading.

    Large ones whose sum is infinite are looked at singly, elsewhere.
    """
    return (
        type(column) is list
        and len(column) == count
        and set(map(type, column)) == {float}
        and isfinite(sum(column))
    )
