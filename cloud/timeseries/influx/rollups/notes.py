"""What is noted in a database of InfluxDB 1 about its rollups: how far they are, what is late."""

from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress

from cloud.timeseries.buckets import Stretch
from cloud.timeseries.influx import influxql
from cloud.timeseries.influx.influxql import Reply, Whose
from cloud.timeseries.influx.lines import NS_PER_MS
from cloud.timeseries.influx.names import name_of, stored_name
from cloud.timeseries.influx.rollups.marks import Mark
from cloud.timeseries.influx.rollups.rollupql import NOTES, span_of
from cloud.timeseries.influx.rollups.steps import Progress
from cloud.timeseries.servers.answers import good
from cloud.timeseries.servers.http import Http

MARKS_AT_ONCE = 2_000
_MOST_MARKS = 100_000
_LINES_AT_ONCE = 10_000
_PROGRESS, _MARKS = "rollup_progress", "rollup_marks"
_FIELDS = ", ".join(f'"{name}"' for name in Progress.__struct_fields__)
_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


class Notes:
    """The notes of one database. Every method may raise `StoreAway`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def progress(self) -> Progress | None:
        """Return how far the rollups are; None when there are none."""
        source = f'"{NOTES}"."{_PROGRESS}"'
        reply = await self._ask(f"SELECT {_FIELDS} FROM {source} WHERE time = 0")
        rows = [row for result in reply.results for rows in result.series for row in rows.values]
        return Progress(*rows[0][1:]) if rows and None not in rows[0] else None

    async def note(self, **changes: int) -> None:
        """Note some of the progress; what is not named stays."""
        fields = ",".join(f"{name}={number}i" for name, number in changes.items())
        await self._write([f"{_PROGRESS} {fields} 0"])

    async def mark(self, number: int, marks: Collection[Mark]) -> None:
        """Mark hours in a round; durable on return."""
        lines: list[str] = []
        for mark in marks:
            # Of a name that cannot be stored there will be no points either.
            with suppress(ValueError):
                tags = f"device={_tag(mark.device)},round={number},tenant={_tag(mark.tenant)}"
                lines.append(f"{_MARKS},{tags} late=1i {mark.hour_ms * NS_PER_MS}")
        for first in range(0, len(lines), _LINES_AT_ONCE):
            await self._write(lines[first : first + _LINES_AT_ONCE])

    async def rounds(self) -> list[int]:
        """Return the rounds in which something is marked."""
        reply = await self._ask(f'SHOW TAG VALUES FROM "{_MARKS}" WITH KEY = "round"')
        found = {
            int(row[1]) for result in reply.results for rows in result.series for row in rows.values
        }
        return sorted(found)

    async def late(self, whose: Whose, use: Stretch) -> dict[tuple[str, str], list[int]]:
        """Return the marked hours of some devices in a time, by (tenant, device)."""
        span = span_of(use)
        tags = influxql.tags_of(whose)
        reply = await self._ask(
            f'SELECT "late" FROM "{NOTES}"."{_MARKS}" WHERE time >= {span.from_ns}'
            f" AND time < {span.to_ns}{' AND ' if tags else ''}{tags}"
            f' GROUP BY "tenant", "device" LIMIT {_MOST_MARKS}'
        )
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for result in reply.results:
            for rows in result.series:
                device = (name_of(rows.tags["tenant"]), name_of(rows.tags["device"]))
                found[device] += [row[0] // NS_PER_MS for row in rows.values]
        return found

    async def page(self, number: int, from_ms: int) -> list[Mark]:
        """Return at most `MARKS_AT_ONCE` marks of a round from a time on, by their time."""
        reply = await self._ask(
            f'SELECT "late", "tenant", "device" FROM "{NOTES}"."{_MARKS}"'
            f" WHERE \"round\" = '{number}' AND time >= {from_ms * NS_PER_MS}"
            f" LIMIT {MARKS_AT_ONCE}"
        )
        return [
            Mark(ns // NS_PER_MS, name_of(tenant), name_of(device))
            for result in reply.results
            for rows in result.series
            for ns, _, tenant, device in rows.values
        ]

    async def forget(self, number: int) -> None:
        """Forget a round's marks."""
        await self._do(f'DROP SERIES FROM "{_MARKS}" WHERE "round" = \'{number}\'')

    async def _ask(self, statement: str) -> Reply:
        answer = await self._http.get("/query", self._params(statement))
        return influxql.decode_reply(good(self._http.address.name, answer).body)

    async def _do(self, statement: str) -> None:
        answer = await self._http.post("/query", self._params(statement))
        influxql.decode_reply(good(self._http.address.name, answer).body)

    def _params(self, statement: str) -> dict[str, str]:
        return {"db": self._http.address.database, "q": statement, "epoch": "ns"}

    async def _write(self, lines: list[str]) -> None:
        address = self._http.address
        params = {"db": address.database, "rp": NOTES, "precision": "ns"}
        content = "\n".join(lines).encode()
        good(address.name, await self._http.post("/write", params, content=content))


def _tag(name: str) -> str:
    return stored_name(name).translate(_TAG)
