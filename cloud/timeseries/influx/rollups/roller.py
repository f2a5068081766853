"""Lets InfluxDB 1 make rollups of a stretch of time, and says what it keeps for how long."""

import structlog

from cloud.timeseries.buckets import Stretch
from cloud.timeseries.influx import influxql, policies
from cloud.timeseries.influx.influxql import Reply, Whose
from cloud.timeseries.influx.lines import TELEMETRY
from cloud.timeseries.influx.names import name_of
from cloud.timeseries.influx.rollups import rollupql
from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.answers import DENIED, Answer, decoded, good
from cloud.timeseries.servers.http import Http

# Others' fields may change their type from shard to shard; those of ours are stored.
_PARTIAL = "partial write"

_log = structlog.get_logger()


class Roller:
    """Statements to one database. Every method may raise `StoreAway`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def database(self) -> str:
        """Return the name of the database."""
        return self._http.address.database

    async def roll(self, stretch: Stretch, whose: Whose) -> None:
        """Make all buckets of five minutes in a stretch."""
        if stretch.from_ms >= stretch.to_ms:
            return
        rest, sums = rollupql.roll(stretch, whose)
        rows = await self._into(rest)
        if rows and await self._into(sums) < rows:
            for metric in await self._metrics():
                await self._into(rollupql.roll_sum(metric, stretch, whose))

    async def roll_hours(self, stretch: Stretch, whose: Whose) -> None:
        """Make all hours in a stretch of their buckets."""
        if stretch.from_ms >= stretch.to_ms:
            return
        rest, sums = rollupql.roll_hours(stretch, whose)
        rows = await self._into(rest)
        if rows and await self._into(sums) < rows:
            for metric in await self._metrics():
                await self._into(rollupql.roll_sum_hours(metric, stretch, whose))

    async def first_ns(self, stretch: Stretch) -> int | None:
        """Return the time of the first point in a stretch."""
        reply = influxql.decode_reply((await self._good(rollupql.first_in(stretch))).body)
        times = [row[0] for rows in reply.results[0].series for row in rows.values]
        return times[0] if times else None

    async def policies(self) -> list[policies.Policy]:
        """Return the retention policies; none when there is no database yet."""
        answer = await self._good(policies.shown(self.database))
        return policies.policies_in(influxql.decode_reply(answer.body))

    async def may(self, statement: str) -> bool:
        """Execute a statement of an administrator; return whether we are one."""
        answer = await self._send(statement)
        if answer.status in DENIED:
            return False
        influxql.decode_reply(good(self._http.address.name, answer).body)
        return True

    async def _metrics(self) -> list[str]:
        answer = await self._good(influxql.fields_of(TELEMETRY))
        reply = influxql.decode_reply(answer.body)
        return [
            name_of(row[0])
            for rows in reply.results[0].series
            for row in rows.values
            if row[1] in ("float", "integer")
        ]

    async def _into(self, statement: str) -> int:
        """Execute a SELECT INTO; return how many rows it wrote."""
        name = self._http.address.name
        reply = decoded(name, (await self._good(statement)).body, Reply)
        fault = reply.error or next((one.error for one in reply.results if one.error), None)
        if fault is not None and _PARTIAL in fault:
            _log.warning("rollups.incomplete", reason=fault)
            return 0
        if fault is not None and not influxql.is_not_there(fault):
            raise StoreAway(f"{name} cannot roll up: {fault}")
        rows = [row for result in reply.results for one in result.series for row in one.values]
        return int(rows[0][1]) if rows else 0

    async def _good(self, statement: str) -> Answer:
        return good(self._http.address.name, await self._send(statement))

    async def _send(self, statement: str) -> Answer:
        params = {"db": self.database, "q": statement, "epoch": "ns"}
        return await self._http.post("/query", params)
