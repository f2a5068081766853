"""What is kept in InfluxDB and for how long: databases, retention, deletion."""

import anyio
import msgspec
import structlog

from cloud.timeseries.influx import influxql
from cloud.timeseries.influx.influxql import Reply, Whose
from cloud.timeseries.influx.lines import STATES, TELEMETRY
from cloud.timeseries.influx.names import stored_name
from cloud.timeseries.influx.policies import altered, policies_in, shown
from cloud.timeseries.influx.rollups import rollupql
from cloud.timeseries.influx.rollups.rollupql import FIVES, HOURS
from cloud.timeseries.port import Unsupported
from cloud.timeseries.servers.answers import Answer, decoded, good
from cloud.timeseries.servers.detect import Server
from cloud.timeseries.servers.http import Http

MEASUREMENTS = (TELEMETRY, STATES)
_EVERY_MS = 3_600_000
# All of time that a delete of 2.x takes.
_BEGIN, _END = "1678-01-01T00:00:00Z", "2262-01-01T00:00:00Z"
_DAY_S = 86_400
# Statements that roll up take a tenth of a second; longer than that nobody waits for one.
_LONGEST_ROLL_S = 30.0
_LOOK_S = 0.05

_log = structlog.get_logger()


class _Rule(msgspec.Struct, rename="camel"):
    every_seconds: int = 0


class _Bucket(msgspec.Struct, rename="camel"):
    id: str
    retention_rules: list[_Rule] = []


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket] = []


class Keeping:
    """Makes, trims and deletes; `days` None leaves a server's retention alone."""

    def __init__(self, http: Http, server: Server, *, days: float | None) -> None:
        self._http = http
        self._server = server
        self._days = days
        self._tended_ms: int | None = None

    async def create(self) -> bool:
        """Make the database, where that is a statement (1.x); returns whether it was made."""
        if self._server.kind != "influx1":
            return False
        name = influxql.quoted(self._http.address.database)
        answer = await self._statement(f"CREATE DATABASE {name}")
        if not answer.is_good:
            return False
        _log.info("timeseries.database_made", database=self._http.address.database)
        self._tended_ms = None
        return True

    async def delete(self, tenant: str, device: str | None) -> None:
        """Delete everything of a device or a tenant, whatever its time."""
        match self._server.kind:
            case "influx1":
                whose = Whose(tenant, device)
                for measurement in MEASUREMENTS:
                    await self._command(influxql.drop(measurement, whose))
                await self._rolled_up_elsewhere()
                for measurement in (FIVES, HOURS):
                    await self._command(influxql.drop(measurement, whose))
            case "influx2":
                for measurement in MEASUREMENTS:
                    await self._delete_in_bucket(measurement, tenant, device)
            case _:
                raise Unsupported(
                    "InfluxDB 3 cannot delete points; its databases can only be dropped whole"
                )

    async def tend(self, now_ms: int) -> None:
        """See once an hour that the server keeps points as long as it is told, and no longer."""
        if self._days is None:
            return
        if self._tended_ms is not None and 0 <= now_ms - self._tended_ms < _EVERY_MS:
            return
        wanted_s = round(self._days * _DAY_S)
        match self._server.kind:
            case "influx1":
                await self._keep_in_policy(wanted_s)
            case "influx2":
                await self._keep_in_bucket(wanted_s)
            case _:
                _log.warning(
                    "timeseries.retention_unchanged",
                    reason="InfluxDB 3 takes a retention only when its database is made",
                )
        self._tended_ms = now_ms

    async def _rolled_up_elsewhere(self) -> None:
        """Wait for what makes rollups of points that are gone now: whoever begins sees none."""
        left = await self._rolling_up()
        with anyio.move_on_after(_LONGEST_ROLL_S):
            while left:
                await anyio.sleep(_LOOK_S)
                left &= await self._rolling_up()

    async def _rolling_up(self) -> set[object]:
        """Return the ids of the statements that make rollups now."""
        reply = await self._command("SHOW QUERIES")
        return {
            row[0]
            for result in reply.results
            for rows in result.series
            for row in rows.values
            if rollupql.ROLLUPS in str(row)
        }

    async def _keep_in_policy(self, wanted_s: int) -> None:
        database = self._http.address.database
        for policy in policies_in(await self._command(shown(database))):
            if policy.is_default and policy.keeps_s != wanted_s:
                await self._command(altered(policy.name, database, wanted_s))
                _log.info("timeseries.retention_set", days=self._days)

    async def _keep_in_bucket(self, wanted_s: int) -> None:
        address = self._http.address
        params = {"name": address.database, "org": address.org}
        found = self._good(await self._http.get("/api/v2/buckets", params))
        for bucket in decoded(address.name, found.body, _Buckets).buckets:
            if [rule.every_seconds for rule in bucket.retention_rules] != [wanted_s]:
                rules = [{"type": "expire", "everySeconds": wanted_s}]
                await self._send("PATCH", f"/api/v2/buckets/{bucket.id}", {"retentionRules": rules})
                _log.info("timeseries.retention_set", days=self._days)

    async def _delete_in_bucket(self, measurement: str, tenant: str, device: str | None) -> None:
        address = self._http.address
        tags = {"_measurement": measurement, "tenant": stored_name(tenant)}
        if device is not None:
            tags["device"] = stored_name(device)
        # A stored name holds no quote and no backslash.
        predicate = " AND ".join(f'{tag}="{name}"' for tag, name in tags.items())
        body = {"start": _BEGIN, "stop": _END, "predicate": predicate}
        params = {"org": address.org, "bucket": address.database}
        await self._send("POST", "/api/v2/delete", body, params)

    async def _send(
        self, method: str, path: str, body: object, params: dict[str, str] | None = None
    ) -> None:
        answer = await self._http.send(
            method,
            path,
            params,
            content=msgspec.json.encode(body),
            content_type="application/json",
        )
        self._good(answer)

    async def _statement(self, statement: str) -> Answer:
        params = {"db": self._http.address.database, "q": statement}
        return await self._http.post("/query", params)

    async def _command(self, statement: str) -> Reply:
        return influxql.decode_reply(self._good(await self._statement(statement)).body)

    def _good(self, answer: Answer) -> Answer:
        return good(self._http.address.name, answer)
