"""Ingestion: receive → decode → batch → store or spool → account → acknowledge → tell the taps.

One batch is filled while the one before it is stored and the one before that accounted for.
Nothing is acknowledged before the store, or while that is away the spool on disk, and the ledger
have it; while neither takes anything, the pipeline waits and the inbox fills, until the broker has
to keep the rest. The taps are told once, when a batch is durable, be it in the spool: who watches
the data wants it now.
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry, RegistryAway
from cloud.ingest.batch import Batch
from cloud.ingest.broker_link import BrokerLink
from cloud.ingest.forgetting import Forgetting
from cloud.ingest.http.gateway import Gateway
from cloud.ingest.http.replaying import Replaying
from cloud.ingest.inbox import Inbox
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.intake.sparkplug import Host
from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.metrics import Metrics, metrics
from cloud.ingest.patience import Patience
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.session import OnLoss, tell_nobody
from cloud.ingest.spool.spool import Spool
from cloud.ingest.spooling import Spooling
from cloud.ingest.storing import Storing
from cloud.settings import Ingest as Settings
from cloud.timeseries.port import TimeSeries
from wire.ids import DeviceKey
from wire.messages import Status
from wire.points import StoredBatch

_DRAIN_S = 3.0

Tap = Callable[[StoredBatch], None]
T = TypeVar("T")

_log = structlog.get_logger()


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Ingest:
    """The ingest service. `gateway` takes what comes by HTTP; taps must not block.

    `replaying` takes dead letters once more, `forgetting` follows a deletion. `spool` is to be
    looked at only.
    """

    def __init__(
        self,
        store: TimeSeries,
        ledger: Ledger,
        *,
        spool: Spool,
        presence: Presence,
        registry: Registry,
        settings: Settings,
        broker: BrokerAccess | None,
        taps: Sequence[Tap] = (),
        on_loss: OnLoss = tell_nobody,
        telling: Metrics | None = None,
        now_ms: Callable[[], int] = _wall_clock_ms,
        rng: random.Random | None = None,
    ) -> None:
        self._ledger, self._presence, self._registry = ledger, presence, registry
        self._taps = taps
        self._now_ms = now_ms
        rng = rng or random.Random()  # noqa: S311 - jitter
        self.metrics = self._metrics = telling or metrics()
        self._wait_s = settings.batch_wait_s
        self._inbox = Inbox(settings.queue_messages)
        sparkplug = settings.sparkplug
        self._host = Host(sparkplug, ledger.session_of) if sparkplug.enabled else None
        self._intake = Intake(ledger, settings, host=self._host)
        self._filling = anyio.Lock(fast_acquire=True)
        self.forgetting = Forgetting(ledger, self._intake, filling=self._filling)
        self._patience = Patience(rng, self._metrics.store_retries.inc)
        self.spool = spool
        self._metrics.watch(spool)
        self._spooling = Spooling(
            spool,
            store,
            ledger,
            self._patience,
            metrics=self._metrics,
            now_ms=now_ms,
            batch_readings=settings.batch_readings,
        )
        self._storing = Storing(
            store,
            ledger,
            self._spooling,
            self._patience,
            metrics=self._metrics,
            after_s=settings.spool.after_s,
        )
        self._link = (
            None if broker is None else self._linked(broker, settings, rng=rng, on_loss=on_loss)
        )
        self.gateway = Gateway(
            self._inbox,
            outcome_of=ledger.outcome,
            store_is_away=lambda: self.store_is_away,
            metrics=self._metrics,
            now_ms=now_ms,
        )
        self.replaying = Replaying(self.gateway, ledger, now_ms=now_ms)

    def _linked(
        self, broker: BrokerAccess, settings: Settings, *, rng: random.Random, on_loss: OnLoss
    ) -> BrokerLink:
        return BrokerLink(
            broker,
            self._inbox,
            self._ledger,
            self._patience,
            settings=settings,
            own_filters=self._intake.own_filters,
            host=self._host,
            metrics=self._metrics,
            now_ms=self._now_ms,
            rng=rng,
            on_loss=on_loss,
        )

    async def run(self) -> None:
        """Ingest until cancelled; then finish what has been received, for 3 s at most."""
        work = anyio.CancelScope(shield=True)
        try:
            await self._recall_presence()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._work, work)
                try:
                    await anyio.sleep_forever()
                finally:
                    if self._link is not None:
                        self._link.stop_taking()
                    self._inbox.close()
                    self._patience.hurry()
                    work.deadline = anyio.current_time() + _DRAIN_S
        finally:
            if self._link is not None:
                self._link.free()
            self._inbox.free()

    @property
    def is_connected(self) -> bool:
        """Return whether the broker delivers to us now (always, when there is none)."""
        return self._link is None or self._link.is_connected

    @property
    def store_is_away(self) -> bool:
        """Return whether nothing gets durable now, neither in the store nor in the spool.

        Known only from an attempt: before the first message after a failure it says False.
        """
        waits_for = self._patience.waits_for
        finds_no_room = self._spooling.is_waiting or (waits_for("store") and self.spool.is_full)
        return finds_no_room or waits_for("ledger") or waits_for("registry")

    async def _recall_presence(self) -> None:
        """Tell what is known of earlier runs. Nobody retains the deaths of Sparkplug nodes."""
        for device, at_ms in (await self._ask_ledger(self._ledger.heard)).items():
            self._presence.heard(device, at_ms)
        if self._host is not None:
            for device in await self._ask_ledger(self._ledger.sparkplug_dead):
                self._presence.status(device, Status("offline"), None)

    async def _work(self, scope: anyio.CancelScope) -> None:
        """Run the stages within `scope`; the link outlives them, to acknowledge the last."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as outer:
                with scope:
                    await self._spooling.recover()
                    outer.start_soon(self._spooling.drain)
                    if self._link is not None:
                        await self._link.start(outer)
                    send, receive = anyio.create_memory_object_stream[Batch](1)
                    async with anyio.create_task_group() as stages:
                        stages.start_soon(self._fill_batches, send)
                        stages.start_soon(self._store_batches, receive)
                if self._link is not None:
                    self._link.publish()
                outer.cancel_scope.cancel()

    async def _fill_batches(self, send: MemoryObjectSendStream[Batch]) -> None:
        batch, backlog = Batch(), Backlog()
        async with send:
            while (arrived := await self._inbox.take(within_s=self._left_s(batch))) is not None:
                backlog.chunks.extend(arrived)
                if arrived and batch.is_empty:
                    batch.began_s = anyio.current_time()
                while backlog.chunks:
                    await self._fill(batch, backlog)
                    if self._intake.is_full(batch):
                        await self._hand_over(batch, send)
                        batch = Batch(began_s=anyio.current_time())
                if not batch.is_empty and self._left_s(batch) == 0:
                    await self._hand_over(batch, send)
                    batch = Batch()
            if not batch.is_empty:
                await self._hand_over(batch, send)

    async def _fill(self, batch: Batch, backlog: Backlog) -> None:
        async with self._filling:
            fill = partial(self._intake.fill, batch, backlog)
            await self._ask_ledger(lambda: anyio.to_thread.run_sync(fill))
            if self._link is not None and (claims := self._link.claims()):
                learn = partial(self._intake.learn, batch, claims)
                await self._ask_ledger(lambda: anyio.to_thread.run_sync(learn))

    async def _ask_ledger(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(call, of=LedgerAway, what="ledger")

    def _left_s(self, batch: Batch) -> float | None:
        """Return how long the batch may still wait for more; None while it is empty."""
        if batch.is_empty:
            return None
        return max(0.0, batch.began_s + self._wait_s - anyio.current_time())

    async def _hand_over(self, batch: Batch, send: MemoryObjectSendStream[Batch]) -> None:
        await anyio.to_thread.run_sync(batch.seal)
        await self._storing.prepare(batch)
        self._ledger.expect(batch.entry)
        batch.began_s = anyio.current_time()
        await send.send(batch)

    async def _store_batches(self, receive: MemoryObjectReceiveStream[Batch]) -> None:
        """Store one batch while the one before it is accounted for, in order."""
        is_settled = anyio.Semaphore(1)
        async with receive, anyio.create_task_group() as tasks:
            async for batch in receive:
                if batch.first_seen:
                    await self._register(batch.first_seen)
                is_stored = await self._storing.store_now(batch)
                await is_settled.acquire()
                if is_stored:
                    tasks.start_soon(self._settle, batch, is_settled)
                    continue
                # What comes behind a batch in the spool goes there, too.
                await self._storing.settle_away(batch)
                self._finish(batch)
                is_settled.release()

    async def _settle(self, batch: Batch, is_settled: anyio.Semaphore) -> None:
        await self._storing.account(batch)
        self._finish(batch)
        is_settled.release()

    async def _register(self, devices: list[DeviceKey]) -> None:
        register = partial(self._registry.register_all_seen, devices, self._now_ms())
        await self._patience.until_done(
            lambda: anyio.to_thread.run_sync(register), of=RegistryAway, what="registry"
        )

    def _finish(self, batch: Batch) -> None:
        """Tell everybody: the batch is durable."""
        if self._link is not None:
            self._link.acknowledge(batch)
        self._inbox.release(len(batch.ends), batch.size_bytes())
        for device, tally in batch.entry.tallies.items():
            self._presence.heard(device, tally.heard_at_ms)
        for device, status, at_ms in batch.statuses:
            self._presence.status(device, status, at_ms)
        for chunk, _, _ in batch.segments:
            if chunk.replay is not None:
                self.replaying.end_replay(chunk.replay.letter_id)
            if chunk.reply is not None:
                chunk.reply.done.set()
        self._metrics.count(batch, held=self._inbox.held)
        self._metrics.batch_seconds.observe(anyio.current_time() - batch.began_s)
        stored = batch.stored()
        for tap in self._taps:
            tap(stored)
