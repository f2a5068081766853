"""The component that watches all stored points: a queue, a worker thread, a checkpoint."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from cloud.analytics import checkpoint
from cloud.analytics.scoring import Counts, Scorer
from cloud.settings import Analytics
from tidegate.errors import TidegateError
from wire.events import AnomalyDetected
from wire.points import PointBatch, StoredBatch

Emit = Callable[[str, object], Awaitable[None]]

TOPIC = "anomaly.detected"
MICRO_BATCH_POINTS = 20_000
CHECKPOINT_EVERY_S = 180.0
_SAVE_AT_STOP_S = 2.0
_TELL_TIMEOUT_S = 2.0

_logger = structlog.get_logger()


@dataclass(slots=True)
class QueueCounts:
    """What the queue did; all but `waiting_batches` only grow."""

    waiting_batches: int = 0
    dropped_batches: int = 0
    dropped_points: int = 0
    lost_events: int = 0


class Watcher:
    """Scores every stored point and emits `anomaly.detected`.

    The queue holds `settings.queue_batches` batches; when it is full the oldest is dropped and
    counted: watching never holds up storing. `checkpoint_path` None keeps nothing over a stop.
    """

    def __init__(
        self, settings: Analytics, emit: Emit, *, checkpoint_path: Path | None = None
    ) -> None:
        self.queue_counts = QueueCounts()
        self._settings = settings
        self._emit = emit
        self._path = checkpoint_path
        self._queue: deque[PointBatch] = deque()
        self._arrived = anyio.Event()
        self._scorer = Scorer(settings.max_series)

    @property
    def counts(self) -> Counts:
        """What became of the points that left the queue."""
        return self._scorer.counts

    def offer(self, batch: StoredBatch) -> None:
        """Take a stored batch to be scored soon; never blocks. Call it in the event loop."""
        if not self._settings.enabled or not len(batch.points):
            return
        if len(self._queue) >= self._settings.queue_batches:
            self.queue_counts.dropped_batches += 1
            self.queue_counts.dropped_points += len(self._queue.popleft())
        self._queue.append(batch.points)
        self.queue_counts.waiting_batches = len(self._queue)
        self._arrived.set()

    async def run(self) -> None:
        """Score until cancelled; load the checkpoint first, save it every few minutes and last."""
        await anyio.to_thread.run_sync(self._load)
        try:
            await self._watch()
        finally:
            with anyio.move_on_after(_SAVE_AT_STOP_S, shield=True):
                await anyio.to_thread.run_sync(self._save)

    async def _watch(self) -> None:
        save_at = anyio.current_time() + CHECKPOINT_EVERY_S
        while True:
            with anyio.move_on_at(save_at):
                await self._arrived.wait()
            self._arrived = anyio.Event()
            while batches := self._take():
                await self._score(batches)
            if anyio.current_time() >= save_at:
                await anyio.to_thread.run_sync(self._save)
                save_at = anyio.current_time() + CHECKPOINT_EVERY_S

    async def _score(self, batches: list[PointBatch]) -> None:
        """Score and tell. Once learned, an anomaly is not found again: so not cut off by a stop."""
        with anyio.move_on_after(_TELL_TIMEOUT_S, shield=True) as scope:
            for anomaly in await anyio.to_thread.run_sync(self._scorer.score, batches):
                await self._tell(anomaly)
        if scope.cancelled_caught:
            self.queue_counts.lost_events += 1
            _logger.warning("anomaly.lost", reason=f"not emitted in {_TELL_TIMEOUT_S} s")

    def _take(self) -> list[PointBatch]:
        """Take waiting batches of about MICRO_BATCH_POINTS points together."""
        taken: list[PointBatch] = []
        points = 0
        while self._queue and points < MICRO_BATCH_POINTS:
            taken.append(self._queue.popleft())
            points += len(taken[-1])
        self.queue_counts.waiting_batches = len(self._queue)
        return taken

    async def _tell(self, anomaly: AnomalyDetected) -> None:
        try:
            await self._emit(TOPIC, anomaly)
        except TidegateError as exc:
            self.queue_counts.lost_events += 1
            _logger.warning("anomaly.lost", reason=str(exc), device=anomaly.device)

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
