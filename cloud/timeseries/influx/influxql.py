"""InfluxQL statements, and what their answers hold. Pure.

Names stand in statements as they are stored (`names`): those hold no backslash and no double
quote, so quoting needs one rule. That is why no parameters are bound, which not every server
takes everywhere.
"""

from typing import Any

import msgspec

from cloud.timeseries.influx.lines import FIRST_MS, LAST_MS, NS_PER_MS
from cloud.timeseries.influx.names import stored_name
from cloud.timeseries.port import SeriesQuery, StoreAway

# What nobody has written to yet is no failure: nothing is stored there.
_NOT_THERE = ("database not found", "retention policy not found", "table not found")


class Rows(msgspec.Struct):
    """One series of an answer: rows of columns, the first of which is the time."""

    name: str = ""
    tags: dict[str, str] = {}
    columns: list[str] = []
    values: list[list[Any]] = []
    partial: bool = False


class Result(msgspec.Struct):
    """The answer to one statement."""

    series: list[Rows] = []
    error: str | None = None


class Reply(msgspec.Struct):
    """The answers to a request's statements, in their order."""

    results: list[Result] = []
    error: str | None = None


class Whose(msgspec.Struct, frozen=True):
    """Whose points: None is everybody's."""

    tenant: str | None = None
    device: str | None = None


class Span(msgspec.Struct, frozen=True):
    """From `from_ns` (inclusive) to `to_ns` (exclusive)."""

    from_ns: int
    to_ns: int


def decode_reply(body: bytes) -> Reply:
    """Return the answers; raise `StoreAway` for what is none, or for one that failed.

    Errors of execution come with HTTP 200 and stand in the results.
    """
    try:
        reply = msgspec.json.decode(body, type=Reply)
    except msgspec.MsgspecError as exc:
        raise StoreAway("the store's answer cannot be read") from exc
    for error in [reply.error, *(result.error for result in reply.results)]:
        if error and is_not_there(error):
            # The statements after it were not executed.
            return reply
        if error:
            raise StoreAway(f"the store cannot answer: {error}")
    return reply


def is_not_there(fault: str) -> bool:
    """Return whether it failed only because nobody has written there yet."""
    return any(phrase in fault for phrase in _NOT_THERE)


def identifier(name: str) -> str:
    """Return a metric or measurement as an identifier."""
    return f'"{stored_name(name)}"'


def quoted(name: str) -> str:
    """Return the name of an operator's object, such as a database, as an identifier."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def text(name: str) -> str:
    """Return a tenant or device as a text."""
    escaped = stored_name(name).replace("'", "\\'")
    return f"'{escaped}'"


def span_of(query: SeriesQuery) -> Span:
    """Return the query's range, as far as times can be stored."""
    first = max(query.from_ms, FIRST_MS)
    return Span(first * NS_PER_MS, min(query.to_ms, LAST_MS + 1) * NS_PER_MS)


def tags_of(whose: Whose) -> str:
    """Return the condition on the tags; empty for everybody's."""
    pairs = (("tenant", whose.tenant), ("device", whose.device))
    return " AND ".join(f'"{tag}" = {text(name)}' for tag, name in pairs if name is not None)


def rows_of(measurement: str, metric: str, *, whose: Whose, span: Span, limit: int) -> str:
    """Return the statement for one metric's values."""
    return (
        f"SELECT {identifier(metric)} FROM {identifier(measurement)}"
        f"{_where(whose, span)} LIMIT {limit}"
    )


def newest_of(measurement: str, metrics: list[str], *, whose: Whose, span: Span) -> str:
    """Return the statement for the newest value of each metric, by device.

    A row's time is the point's only when there is one metric.
    """
    lasts = ", ".join(
        f'last({identifier(metric)}) AS "c{index}"' for index, metric in enumerate(metrics)
    )
    where = _where(whose, span)
    return f'SELECT {lasts} FROM {identifier(measurement)}{where} GROUP BY "tenant", "device"'


def fields_of(measurement: str) -> str:
    """Return the statement for the names of a measurement's fields."""
    return f"SHOW FIELD KEYS FROM {identifier(measurement)}"


def drop(measurement: str, whose: Whose) -> str:
    """Return the statement that deletes a device's or tenant's series (1.x)."""
    return f"DROP SERIES FROM {identifier(measurement)} WHERE {tags_of(whose)}"


def _where(whose: Whose, span: Span) -> str:
    times = f"time >= {span.from_ns} AND time < {span.to_ns}"
    tags = tags_of(whose)
    return f" WHERE {tags} AND {times}" if tags else f" WHERE {times}"
