"""InfluxDB 1's retention policies: what they say, and statements that set them. Pure."""

from typing import NamedTuple

from cloud.timeseries.influx.influxql import Reply, quoted

_DAY_S = 86_400
_LONG_SHARD_S = 28 * _DAY_S


class Policy(NamedTuple):
    """A policy and how long it keeps points; 0 s is for ever."""

    name: str
    keeps_s: int
    is_default: bool


def shown(database: str) -> str:
    """Return the statement for a database's policies."""
    return f"SHOW RETENTION POLICIES ON {quoted(database)}"


def policies_in(reply: Reply) -> list[Policy]:
    """Return the policies in the answer; none when there is no such database."""
    rows = [
        dict(zip(rows.columns, row, strict=True))
        for result in reply.results[:1]
        for rows in result.series
        for row in rows.values
    ]
    return [Policy(row["name"], _seconds(row["duration"]), row["default"]) for row in rows]


def altered(policy: str, database: str, keeps_s: int) -> str:
    """Return the statement that changes how long a policy of points keeps them."""
    return (
        f"ALTER RETENTION POLICY {quoted(policy)} ON {quoted(database)} "
        f"DURATION {keeps_s}s SHARD DURATION {_shard_s(keeps_s)}s"
    )


def made(policy: str, database: str, keeps_s: int) -> str:
    """Return the statement that makes a policy for little data: its shards may be long."""
    name, on = quoted(policy), quoted(database)
    duration, shard = _sparse(keeps_s)
    return f"CREATE RETENTION POLICY {name} ON {on} {duration} REPLICATION 1 {shard}"


def altered_sparse(policy: str, database: str, keeps_s: int) -> str:
    """Return the statement that changes a policy for little data."""
    duration, shard = _sparse(keeps_s)
    return f"ALTER RETENTION POLICY {quoted(policy)} ON {quoted(database)} {duration} {shard}"


def _sparse(keeps_s: int) -> tuple[str, str]:
    shard_s = _shard_s(keeps_s) if 0 < keeps_s <= 180 * _DAY_S else _LONG_SHARD_S
    duration = f"{keeps_s}s" if keeps_s else "INF"
    return f"DURATION {duration}", f"SHARD DURATION {shard_s}s"


def _shard_s(duration_s: int) -> int:
    """Return how long a shard is, by InfluxDB's own rule: whole shards are dropped."""
    if duration_s < 2 * _DAY_S:
        return 3_600
    return _DAY_S if duration_s <= 180 * _DAY_S else 7 * _DAY_S


def _seconds(duration: str) -> int:
    """Return what `720h0m0s` says; 0 is for ever."""
    seconds, number = 0, ""
    for char in duration:
        if char.isdigit():
            number += char
        else:
            seconds += int(number or 0) * {"h": 3_600, "m": 60}.get(char, 1)
            number = ""
    return seconds
