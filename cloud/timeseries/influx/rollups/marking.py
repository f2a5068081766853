"""Marks what is written behind the rollups, before it is written.

Another process may be the one that rolls up, so nothing depends on a clock that both share: what
is announced (a round, an aim) rests for `rolling.REST_S` before anybody acts on it, and a writer
never goes by what it learned longer ago than `FRESH_S`, nor writes for longer than `LONG_S`
without looking again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import anyio

from cloud.timeseries.influx.rollups.marks import Mark, marks_of
from cloud.timeseries.influx.rollups.notes import Notes
from cloud.timeseries.influx.rollups.steps import Progress
from cloud.timeseries.port import PointsRejected
from wire.points import PointBatch

FRESH_S = 60.0
LONG_S = 120.0
_MOST_KNOWN = 1_000_000


class Marking:
    """Knows how far the rollups have been announced, and what this process has marked."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._progress: Progress | None = None
        self._learned_s: float | None = None
        self._marked: set[Mark] = set()
        self._learning = anyio.Lock()

    @asynccontextmanager
    async def covering(self, batch: PointBatch) -> AsyncIterator[None]:
        """Mark what is late of a batch that is written inside; again if that took long.

        Raises:
            StoreAway: it could not be marked; nothing should be written then.
        """
        learned_s = await self._cover(batch)
        try:
            yield
        except PointsRejected:
            # The others are stored, and will not be written again.
            await self._cover_again(batch, learned_s)
            raise
        await self._cover_again(batch, learned_s)

    def forget(self) -> None:
        """Look anew how far it is before the next batch."""
        self._learned_s = None

    async def _cover_again(self, batch: PointBatch, learned_s: float) -> None:
        if monotonic() - learned_s > LONG_S:
            self.forget()
            await self._cover(batch)

    async def _cover(self, batch: PointBatch) -> float:
        """Mark what is late; return when (monotonic, s) it was learned what that is."""
        progress, learned_s = await self._fresh()
        if progress is None:
            return learned_s
        marks = marks_of(batch, progress.aim_ms) - self._marked
        if marks:
            await self._notes.mark(progress.round, marks)
            if self._progress is progress and len(self._marked) < _MOST_KNOWN:
                self._marked |= marks
        return learned_s

    async def _fresh(self) -> tuple[Progress | None, float]:
        async with self._learning:
            if self._learned_s is None or monotonic() - self._learned_s > FRESH_S:
                began_s = monotonic()
                progress = await self._notes.progress()
                if progress != self._progress:
                    # Marks of an earlier round may have been taken up.
                    self._marked = set()
                    self._progress = progress
                self._learned_s = began_s
            return self._progress, self._learned_s
