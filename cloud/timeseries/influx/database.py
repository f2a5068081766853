"""Telemetry in one database of InfluxDB 1, or one bucket of 2 or 3."""

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from cloud.timeseries.influx.keeping import Keeping
from cloud.timeseries.influx.lines import STATES, Encoder, Lines, check
from cloud.timeseries.influx.reading import Reader
from cloud.timeseries.influx.rollups.notes import Notes
from cloud.timeseries.influx.rollups.rolled import StepReader
from cloud.timeseries.influx.rollups.rollups import Keep, Rollups
from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
)
from cloud.timeseries.servers.answers import Answer
from cloud.timeseries.servers.detect import Server
from cloud.timeseries.servers.http import Http
from cloud.timeseries.servers.posting import Posting
from cloud.timeseries.servers.writing import Target, write_lines
from wire.points import PointBatch

if TYPE_CHECKING:
    from cloud.timeseries.influx.bucket import Bucket

# What is written to see whether the server takes anything at all.
PROBE = "tidegate_probe"
_STATEMENTS = {"influx1": 50, "influx2": 50, "influx3": 1}


class Database:
    """The adapter of `cloud.timeseries.port.TimeSeries` for a detected InfluxDB.

    `keep` is how long points and their rollups are to be kept.
    """

    def __init__(self, http: Http, server: Server, keep: Keep) -> None:
        self._http = http
        self._server = server
        self._keeping = Keeping(http, server, days=keep.days)
        self._reader = Reader(http, statements=_STATEMENTS[server.kind])
        # The others cannot roll up by a statement.
        notes = Notes(http) if server.kind == "influx1" else None
        self._rollups = None if notes is None else Rollups(http, notes, keep)
        self._steps = StepReader(self._reader, notes)
        self._encoder = Encoder()
        self._knows_mixed = False
        # Both the encoder and the sender are of one thread at a time.
        self._encoding = anyio.CapacityLimiter(1)
        self._posting = anyio.CapacityLimiter(1)
        self._sender: Posting | Bucket | None = None
        self._target = Target(
            http.address.name,
            http.address.database,
            self._post,
            partial(http.get, "/ping"),
            self._keeping.create,
            lambda ns: f"{PROBE} ok=1 {ns}",
        )

    async def aclose(self) -> None:
        """Close the connections that are ours alone."""
        if self._sender is not None:
            await anyio.to_thread.run_sync(self._sender.close, limiter=self._posting)

    async def prepare(self, batch: PointBatch) -> None:
        """Write a batch as lines (see the port), once it is known which metrics have texts."""
        if self._knows_mixed and len(batch.rows):
            # Why it cannot be stored is told when it is its turn.
            with contextlib.suppress(PointsRejected):
                batch.prepared = await self._lines(batch)

    async def write(self, batch: PointBatch) -> None:
        """Store a batch (see the port)."""
        if not len(batch.rows):
            return
        await self._learn_mixed()
        lines, batch.prepared = batch.prepared, None
        if not isinstance(lines, Lines):
            lines = await self._lines(batch)
        if self._rollups is None:
            await self._send(lines)
        else:
            async with self._rollups.covering(batch):
                await self._send(lines)

    async def _send(self, lines: Lines) -> None:
        refused = {
            lines.readings[line]: reason
            for line, reason in (await write_lines(self._target, lines.texts, lines.body)).items()
        }
        if refused:
            reason = next(iter(refused.values()))
            raise PointsRejected(f"{len(refused)} readings: {reason}", readings=refused)

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        if query.step_ms is not None:
            return await self._steps.read(query, limit=limit)
        return await self._reader.read(query, limit=limit)

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        return await self._reader.page(query, limit=limit, start=start)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series (see the port)."""
        return await self._reader.latest(tenant, device)

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device or a tenant (see the port); not in InfluxDB 3."""
        await self._keeping.delete(tenant, device)

    async def tend(self, now_ms: int) -> None:
        """See that the server drops what is older than is to be kept, and roll up."""
        await self._keeping.tend(now_ms)
        if self._rollups is not None:
            await self._rollups.tend(now_ms)

    async def _learn_mixed(self) -> None:
        """Learn once of which metrics there are texts and booleans."""
        if not self._knows_mixed:
            self._encoder.mixed.update(await self._reader.metrics(STATES))
            self._knows_mixed = True

    async def _lines(self, batch: PointBatch) -> Lines:
        def encode() -> Lines:
            check(batch.rows)
            return self._encoder.lines(batch.rows)

        return await anyio.to_thread.run_sync(encode, limiter=self._encoding)

    async def _post(self, body: bytes) -> Answer:
        def post() -> Answer:
            if self._sender is None:
                self._sender = self._make_sender()
            return self._sender.post(body)

        return await anyio.to_thread.run_sync(post, limiter=self._posting)

    def _make_sender(self) -> "Posting | Bucket":
        address, timeout_s = self._http.address, self._http.timeout_s
        if self._server.kind == "influx1":
            params = {"db": address.database, "precision": "ns"}
            return Posting(address, "/write", params, timeout_s=timeout_s)
        # It takes half a second to import, and only some need it.
        from cloud.timeseries.influx.bucket import Bucket  # noqa: PLC0415

        return Bucket(address, timeout_s=timeout_s)
