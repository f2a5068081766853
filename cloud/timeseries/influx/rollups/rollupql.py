"""InfluxQL statements that make rollups out of points, and read them (InfluxDB 1). Pure.

The server does it itself: `SELECT … INTO` for all metrics at once, of which it makes the fields
`count_t`, `sum_t`, `min_t`, `max_t` and `last_t` of five minutes, and of those `sum_count_t`,
`min_min_t` … of an hour. It drops a row with a sum that is no finite number, so sums come apart
from the rest, and how many there are is kept: a sum that is missing is an infinite one.
"""

from typing import NamedTuple

from cloud.timeseries.buckets import HOUR_MS, MINUTES_MS, Stretch
from cloud.timeseries.influx.influxql import Span, Whose, identifier, tags_of
from cloud.timeseries.influx.lines import FIRST_MS, LAST_MS, NS_PER_MS, TELEMETRY
from cloud.timeseries.influx.names import stored_name
from cloud.timeseries.port import Aggregate

# Retention policies of our own: rollups outlive points, and notes of old times are no old notes.
ROLLUPS, NOTES = "tidegate_rollups", "tidegate_notes"
FIVES, HOURS = "telemetry_5m", "telemetry_1h"


class Level(NamedTuple):
    """Where points, or their rollups, stand, and how the parts of an aggregate are asked there.

    {m} stands for the metric. What makes a sum: the sums, the points, and for rollups how many
    buckets have a sum and how many there are.
    """

    source: str
    sums: str
    number: str
    least: str
    most: str
    last: str
    newest: str


RAW = Level(
    f'"{TELEMETRY}"',
    'sum("{m}"), count("{m}")',
    'count("{m}")',
    'min("{m}")',
    'max("{m}")',
    'last("{m}")',
    "{m}",
)
LEVELS = {
    MINUTES_MS: Level(
        f'"{ROLLUPS}"."{FIVES}"',
        'sum("sum_{m}"), sum("count_{m}"), count("sum_{m}"), count("count_{m}")',
        'sum("count_{m}")',
        'min("min_{m}")',
        'max("max_{m}")',
        'last("last_{m}")',
        "last_{m}",
    ),
    HOUR_MS: Level(
        f'"{ROLLUPS}"."{HOURS}"',
        'sum("sum_sum_{m}"), sum("sum_count_{m}"), sum("count_sum_{m}"), sum("count_count_{m}")',
        'sum("sum_count_{m}")',
        'min("min_min_{m}")',
        'max("max_max_{m}")',
        'last("last_last_{m}")',
        "last_last_{m}",
    ),
}


def part_of(level: Level, aggregate: Aggregate, metric: str) -> str:
    """Return the columns that an aggregate is made of."""
    match aggregate:
        case "mean" | "sum":
            columns = level.sums
        case "count":
            columns = level.number
        case "min":
            columns = level.least
        case "max":
            columns = level.most
        case "last":
            columns = level.last
    return columns.replace("{m}", stored_name(metric))


def parts_over(
    columns: str, level: Level, step_ms: int, *, whose: Whose, span: Span, limit: int
) -> str:
    """Return the statement for the parts of one metric's steps."""
    return (
        f"SELECT {columns} FROM {level.source}{_where(whose, span)}"
        f" GROUP BY time({step_ms}ms) fill(none) LIMIT {limit}"
    )


def newest_in(level: Level, metrics: list[str], *, whose: Whose, span: Span) -> str:
    """Return the statement that tells who has rollups of which metrics in a time."""
    names = [level.newest.replace("{m}", stored_name(metric)) for metric in metrics]
    lasts = ", ".join(f'last("{name}") AS "c{index}"' for index, name in enumerate(names))
    where = _where(whose, span)
    return f'SELECT {lasts} FROM {level.source}{where} GROUP BY "tenant", "device"'


def fields_in_rollups() -> str:
    """Return the statement for the names of the fields of the shorter buckets."""
    return f'SHOW FIELD KEYS FROM "{ROLLUPS}"."{FIVES}"'


def first_in(stretch: Stretch) -> str:
    """Return the statement for the first point of a time, of whatever series."""
    return f'SELECT * FROM "{TELEMETRY}"{_where(Whose(), span_of(stretch))} LIMIT 1'


def roll(stretch: Stretch, whose: Whose) -> tuple[str, str]:
    """Return the statements that make all buckets of five minutes: their sums come second."""
    return (
        _into("count(*), min(*), max(*), last(*)", RAW, MINUTES_MS, stretch, whose),
        _into("sum(*)", RAW, MINUTES_MS, stretch, whose),
    )


def roll_sum(metric: str, stretch: Stretch, whose: Whose) -> str:
    """Return the statement that makes one metric's sums of five minutes."""
    columns = f'sum({identifier(metric)}) AS "sum_{stored_name(metric)}"'
    return _into(columns, RAW, MINUTES_MS, stretch, whose)


def roll_hours(stretch: Stretch, whose: Whose) -> tuple[str, str]:
    """Return the statements that make all hours of their buckets: their sums come second."""
    fives = LEVELS[MINUTES_MS]
    rest = "sum(/^count_/), count(/^count_/), min(/^min_/), max(/^max_/), last(/^last_/)"
    return (
        _into(rest, fives, HOUR_MS, stretch, whose),
        _into("sum(/^sum_/), count(/^sum_/)", fives, HOUR_MS, stretch, whose),
    )


def roll_sum_hours(metric: str, stretch: Stretch, whose: Whose) -> str:
    """Return the statement that makes one metric's sums of an hour."""
    name = f"sum_{stored_name(metric)}"
    columns = f'sum("{name}") AS "sum_{name}", count("{name}") AS "count_{name}"'
    return _into(columns, LEVELS[MINUTES_MS], HOUR_MS, stretch, whose)


def span_of(stretch: Stretch) -> Span:
    """Return a time in ns, as far as times can be stored."""
    first = max(stretch.from_ms, FIRST_MS)
    return Span(first * NS_PER_MS, min(stretch.to_ms, LAST_MS + 1) * NS_PER_MS)


def _into(columns: str, source: Level, step_ms: int, stretch: Stretch, whose: Whose) -> str:
    target = LEVELS[step_ms].source
    # What others have written without our tags is not ours.
    ours = "\"tenant\" != '' AND \"device\" != ''"
    return (
        f"SELECT {columns} INTO {target} FROM {source.source}{_where(whose, span_of(stretch))}"
        f' AND {ours} GROUP BY time({step_ms}ms), "tenant", "device" fill(none)'
    )


def _where(whose: Whose, span: Span) -> str:
    times = f"time >= {span.from_ns} AND time < {span.to_ns}"
    tags = tags_of(whose)
    return f" WHERE {tags} AND {times}" if tags else f" WHERE {times}"
