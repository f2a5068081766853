"""The component that watches all stored points: a queue, a worker thread, a checkpoint."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from cloud.analytics import checkpoint
from cloud.analytics.scoring import Counts, Scorer
from cloud.settings import Analytics
from cloud.timeseries.tap import Tap, until_taken
from tidegate.errors import TidegateError
from wire.events import AnomalyDetected
from wire.points import PointBatch, StoredBatch

EmitMany = Callable[[str, Sequence[object]], Awaitable[None]]

TOPIC = "anomaly.detected"
MICRO_BATCH_POINTS = 20_000
CHECKPOINT_EVERY_S = 180.0
_SAVE_AT_STOP_S = 2.0
_TELL_AT_STOP_S = 2.0

_logger = structlog.get_logger()


class Watcher:
    """Scores every stored point and emits `anomaly.detected`.

    Stored batches wait in `tap`. The anomalies of several batches leave in one transaction, all
    or none; while the event store is away they are offered again until it takes them. What it
    has not taken when we stop is counted in `lost_events`: once learned, an anomaly is not found
    again. `checkpoint_path` None keeps nothing over a stop.
    """

    def __init__(
        self,
        settings: Analytics,
        emit_many: EmitMany,
        *,
        checkpoint_path: Path | None = None,
        tell_at_stop_s: float = _TELL_AT_STOP_S,
    ) -> None:
        self.tap = Tap("analytics", max_batches=settings.queue_batches)
        self.lost_events = 0
        self._enabled = settings.enabled
        self._emit_many = emit_many
        self._path = checkpoint_path
        self._tell_at_stop_s = tell_at_stop_s
        self._scorer = Scorer(settings.max_series)
        self._untold: list[AnomalyDetected] = []

    @property
    def counts(self) -> Counts:
        """What became of the points that left the queue."""
        return self._scorer.counts

    def offer(self, batch: StoredBatch) -> None:
        """Take a stored batch to be scored soon; never blocks. Call it in the event loop."""
        if self._enabled:
            self.tap.offer(batch)

    async def run(self) -> None:
        """Score until cancelled; load the checkpoint first, save it every few minutes and last."""
        await anyio.to_thread.run_sync(self._load)
        try:
            await self._watch()
        finally:
            with anyio.move_on_after(self._tell_at_stop_s, shield=True):
                await self._tell()
            self._count_lost(f"not emitted in {self._tell_at_stop_s} s")
            with anyio.move_on_after(_SAVE_AT_STOP_S, shield=True):
                await anyio.to_thread.run_sync(self._save)

    async def _watch(self) -> None:
        save_at = anyio.current_time() + CHECKPOINT_EVERY_S
        while True:
            batches: list[PointBatch] = []
            with anyio.move_on_at(save_at):
                batches = await self.tap.take(MICRO_BATCH_POINTS)
            # Not interrupted by a stop: what was learned is told, too.
            with anyio.CancelScope(shield=True):
                self._untold = await anyio.to_thread.run_sync(self._scorer.score, batches)
            await self._tell()
            if anyio.current_time() >= save_at:
                await anyio.to_thread.run_sync(self._save)
                save_at = anyio.current_time() + CHECKPOINT_EVERY_S

    async def _tell(self) -> None:
        """Emit what was found, as often as it takes."""
        if not self._untold:
            return
        try:
            await until_taken(partial(self._emit_many, TOPIC, self._untold), what=TOPIC)
            self._untold = []
        except TidegateError as exc:
            self._count_lost(str(exc))

    def _count_lost(self, reason: str) -> None:
        if self._untold:
            self.lost_events += len(self._untold)
            _logger.warning("anomaly.lost", reason=reason, events=len(self._untold))
            self._untold = []

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            snapshot = checkpoint.load(self._path)
        except checkpoint.Unusable as exc:
            aside = checkpoint.set_aside(self._path)
            _logger.warning("checkpoint.unusable", reason=str(exc), kept_as=str(aside))
            return
        if snapshot is not None:
            self._scorer.restore(snapshot)
            _logger.info("checkpoint.loaded", series=len(snapshot.keys))

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            checkpoint.save(self._path, self._scorer.snapshot())
        except OSError as exc:
            _logger.warning("checkpoint.failed", reason=str(exc), path=str(self._path))
