"""Telemetry in VictoriaMetrics, which says yes to nearly everything: we look before we write."""

import contextlib
import time
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import structlog

from cloud.timeseries.port import (
    Latest,
    Page,
    Place,
    PointsRejected,
    Series,
    SeriesQuery,
)
from cloud.timeseries.servers.answers import Answer, good
from cloud.timeseries.servers.http import Http
from cloud.timeseries.servers.posting import Posting
from cloud.timeseries.servers.writing import Target, write_lines
from cloud.timeseries.victoria.flags import Flags, flags_in
from cloud.timeseries.victoria.lines import Encoded, Encoder, probe
from cloud.timeseries.victoria.reading import Reader
from cloud.timeseries.victoria.recent import Deletion, Recent
from cloud.timeseries.victoria.samples import NUMBERS, STATES, selector
from wire.points import PointBatch

_DAY_MS = 86_400_000

_log = structlog.get_logger()


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Victoria:
    """The adapter of `cloud.timeseries.port.TimeSeries` for VictoriaMetrics.

    What it cannot hold as the port says: a point that is written again with another value is two
    points, and the order of a millisecond's points is that of their values. What was written
    shows after a second or so, and is on disk after about ten: what a server that died may have
    lost is sent again (`recent`), unless we died with it.
    """

    def __init__(
        self,
        http: Http,
        *,
        keep_days: float | None,
        now_ms: Callable[[], int] = _wall_clock_ms,
        recent: Recent | None = None,
    ) -> None:
        self._http = http
        self._keep_days = keep_days
        self._now_ms = now_ms
        self._flags: Flags | None = None
        self._reader = Reader(http)
        self._has_warned = False
        self._recent = recent or Recent()
        self._started: str | None = None
        self._connections = 0
        self._encoding = anyio.CapacityLimiter(1)
        self._posting = anyio.CapacityLimiter(1)
        # A deletion takes with it what is written before it, and only that; also a second time.
        self._in_order = anyio.Lock()
        self._sender = Posting(http.address, "/api/v1/import", {}, timeout_s=http.timeout_s)
        name, self._database = http.address.name, http.address.database
        self._encoder = Encoder(self._database)
        self._target = Target(
            name, self._database, self._post, partial(http.get, "/health"), _cannot, self._probe
        )

    async def aclose(self) -> None:
        """Close the connection that is ours alone."""
        await anyio.to_thread.run_sync(self._sender.close, limiter=self._posting)

    async def prepare(self, batch: PointBatch) -> None:
        """Write a batch as lines (see the port), once it is known what the server takes."""
        if self._flags is not None and len(batch.rows):
            # Why it cannot be stored is told when it is its turn.
            with contextlib.suppress(PointsRejected):
                batch.prepared = await self._encoded(batch, self._flags)

    async def write(self, batch: PointBatch) -> None:
        """Store a batch (see the port); what the server would drop is refused."""
        if not len(batch.rows):
            return
        encoded, batch.prepared = batch.prepared, None
        if not isinstance(encoded, Encoded):
            encoded = await self._encoded(batch, await self._known())
        refused = dict(encoded.refused)
        told = await write_lines(self._target, encoded.lines, encoded.body)
        for line, reason in told.items():
            refused.update(dict.fromkeys(encoded.readings[line], reason))
        if refused:
            reason = next(iter(refused.values()))
            raise PointsRejected(f"{len(refused)} readings: {reason}", readings=refused)

    async def _encoded(self, batch: PointBatch, flags: Flags) -> Encoded:
        limits = flags.limits(self._now_ms())
        return await anyio.to_thread.run_sync(
            self._encoder.encode, batch.rows, limits, limiter=self._encoding
        )

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range (see the port)."""
        flags = await self._known()
        limits, most = flags.limits(self._now_ms()), 2**62 if limit is None else limit
        if query.step_ms is None:
            return await self._reader.read(query, limits=limits, most=most)
        return await self._reader.read_steps(
            query, limits=limits, most=most, drops_doubles=flags.drops_doubles
        )

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        limits = (await self._known()).limits(self._now_ms())
        return await self._reader.page(query, limits=limits, limit=limit, start=start)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series (see the port)."""
        limits = (await self._known()).limits(self._now_ms())
        whose = SeriesQuery(limits.oldest_ms, limits.newest_ms, tenant, device)
        return await self._reader.latest(whose, limits)

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device or a tenant (see the port)."""
        deletion = Deletion(
            selector(f"{NUMBERS}|{STATES}", self._database, tenant=tenant, device=device)
        )
        async with self._in_order:
            await self._delete(deletion)
            self._recent.add(deletion, time.monotonic())

    async def tend(self, now_ms: int) -> None:  # noqa: ARG002 - the server looks at its clock
        """Compare how long the server keeps points with what it should: only it can set that."""
        async with self._in_order:
            self._flags = None
            flags = await self._known()
            await self._send_again_if_restarted(flags)
        wanted = self._keep_days
        if wanted is None or self._has_warned or flags.keeps_ms == round(wanted * _DAY_MS):
            return
        self._has_warned = True
        _log.warning(
            "timeseries.retention_differs",
            keeps_days=flags.keeps_ms / _DAY_MS,
            reason=f"start VictoriaMetrics with -retentionPeriod={wanted:g}d",
        )

    async def _known(self) -> Flags:
        if self._flags is None:
            answer = good(self._http.address.name, await self._http.get("/metrics"))
            self._flags = flags_in(answer.body)
        return self._flags

    async def _post(self, body: bytes) -> Answer:
        async with self._in_order:
            answer = await self._send(body)
            if answer.is_good:
                self._recent.add(body, time.monotonic())
            if self._sender.connections != self._connections:
                await self._look_after_reconnecting()
            return answer

    async def _look_after_reconnecting(self) -> None:
        connections = self._sender.connections
        self._flags = None
        await self._send_again_if_restarted(await self._known())
        self._connections = connections

    async def _send_again_if_restarted(self, flags: Flags) -> None:
        """Do again what the server did before it died, so far as it may have lost it."""
        if self._started not in (None, flags.started):
            again = self._recent.taken()
            for taken in again:
                if isinstance(taken, bytes):
                    good(self._http.address.name, await self._send(taken))
                else:
                    await self._delete(taken)
            # It may die once more before these are on its disk.
            self._recent.renew(time.monotonic())
            _log.warning("timeseries.sent_again", requests=len(again), cut=self._recent.cut_short)
        self._started = flags.started
        self._recent.forget(time.monotonic())

    async def _delete(self, deletion: Deletion) -> None:
        # Series of the last second are not found before; what does not let us shows them later.
        await self._http.get("/internal/force_flush")
        params = {"match[]": deletion.selector}
        answer = await self._http.post("/api/v1/admin/tsdb/delete_series", params)
        good(self._http.address.name, answer)

    async def _send(self, body: bytes) -> Answer:
        return await anyio.to_thread.run_sync(self._sender.post, body, limiter=self._posting)

    def _probe(self, ns: int) -> str:
        return probe(self._database, ns // 1_000_000)


async def _cannot() -> bool:
    """There is nothing to make: a name in the address is a label."""
    return False
