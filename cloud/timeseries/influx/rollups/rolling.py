"""Rolls up what is stored in InfluxDB 1, and again where late points came.

Several processes may do so at once, and others write meanwhile, on a server without transactions.
Statements only replace rollups by what the points give then, so to do one twice, or half of a
stretch, does no harm. What could harm is a point that comes unmarked behind the rollups, or whose
mark is taken up before the point is there. Therefore work goes in rounds: a round is announced
with an aim, and rests for `REST_S`; from then on every writer marks what is older than the aim, in
that round or a later one (`marking`). Only then it is rolled up to the aim, and the marks of the
rounds before are taken up, in which nobody writes any more. After that comes the next round.
"""

from time import monotonic

import structlog

from cloud.timeseries.buckets import DAY_MS, HOUR_MS, MINUTES_MS, Pace, Stretch, ceil_to, floor_to
from cloud.timeseries.influx import policies
from cloud.timeseries.influx.influxql import Whose
from cloud.timeseries.influx.lines import FIRST_MS, NS_PER_MS
from cloud.timeseries.influx.rollups import rollupql
from cloud.timeseries.influx.rollups.marks import whole_hours
from cloud.timeseries.influx.rollups.notes import MARKS_AT_ONCE, Notes
from cloud.timeseries.influx.rollups.roller import Roller
from cloud.timeseries.influx.rollups.steps import Progress
from cloud.timeseries.port import StoreAway

REST_S = 240.0
"""More than a writer can be behind: `marking.FRESH_S` + `marking.LONG_S`."""
TEND_S = 20.0
"""How long one `tend` goes on at most; what is left waits for the next."""
SETTLE_MS = 2 * 60_000
"""How long after its end an hour is rolled up at the earliest."""
_LONG_MS = 64 * DAY_MS
_EARLIEST_MS = ceil_to(HOUR_MS, FIRST_MS)
_DAY_S = 86_400

_log = structlog.get_logger()


class Rolling:
    """Rolls up one database. `keep_days` is how long rollups are kept; None is for ever."""

    def __init__(
        self, roller: Roller, notes: Notes, *, keep_days: float | None, rest_s: float = REST_S
    ) -> None:
        self._roller = roller
        self._notes = notes
        self._keep_s = round((keep_days or 0) * _DAY_S)
        self._rest_s = rest_s
        self._pace = Pace(MINUTES_MS)
        self._ready_ms: int | None = None
        self._raw_keeps_s = 0
        # A round, and when (monotonic, s) it was first seen.
        self._seen: tuple[int, float] | None = None
        # Where in a round's marks it goes on.
        self._redone: tuple[int, int] | None = None
        self._warned: set[str] = set()

    async def tend(self, now_ms: int) -> None:
        """Announce, or roll up what has been announced for long enough, for at most `TEND_S`."""
        found = await self._notes.progress()
        if not await self._ready(now_ms, is_new=found is None):
            return
        progress = await self._announced(found, now_ms)
        if not self._has_rested(progress):
            return
        end_s = monotonic() + TEND_S
        rolled_ms = await self._advance(progress, now_ms, end_s)
        if rolled_ms >= progress.aim_ms:
            await self._redo(progress, now_ms, end_s)

    async def _ready(self, now_ms: int, *, is_new: bool) -> bool:
        """Make our retention policies, once an hour; False where we may not, or need not yet."""
        if self._ready_ms is not None and not is_new and 0 <= now_ms - self._ready_ms < HOUR_MS:
            return True
        found = {policy.name: policy for policy in await self._roller.policies()}
        default = next((policy for policy in found.values() if policy.is_default), None)
        if default is None:
            return False
        self._raw_keeps_s = default.keeps_s
        ours = ((rollupql.ROLLUPS, self._keep_s), (rollupql.NOTES, 0))
        are_kept = [await self._keep(name, keeps_s, found.get(name)) for name, keeps_s in ours]
        if not all(are_kept):
            return False
        self._ready_ms = now_ms
        return True

    async def _keep(self, name: str, keeps_s: int, found: policies.Policy | None) -> bool:
        if found is not None and found.keeps_s == keeps_s:
            return True
        database = self._roller.database
        statement = policies.made if found is None else policies.altered_sparse
        if await self._roller.may(statement(name, database, keeps_s)):
            return True
        if name not in self._warned:
            self._warned.add(name)
            _log.warning(
                "timeseries.rollups_off",
                reason=f"only an administrator may: {statement(name, database, keeps_s)}",
            )
        return False

    async def _announced(self, found: Progress | None, now_ms: int) -> Progress:
        """Return the present round: a new one when the one before is done and there is need."""
        aim_ms = floor_to(HOUR_MS, now_ms - SETTLE_MS)
        if found is None:
            self._seen = self._redone = None
            return await self._announce(
                Progress(1, aim_ms, _EARLIEST_MS, self._raw_from_ms(now_ms, _EARLIEST_MS))
            )
        if found.aim_ms > aim_ms + HOUR_MS:
            # A clock that was far ahead has been set right; what is above is done anew.
            rolled_ms = min(found.rolled_ms, aim_ms)
            raw_from_ms = self._raw_from_ms(now_ms, _EARLIEST_MS)
            return await self._announce(Progress(found.round + 1, aim_ms, rolled_ms, raw_from_ms))
        rounds = await self._notes.rounds()
        is_done = found.rolled_ms >= found.aim_ms and all(one >= found.round for one in rounds)
        if is_done and (rounds or aim_ms > found.aim_ms):
            raw_from_ms = self._raw_from_ms(now_ms, found.raw_from_ms)
            aim_ms = max(aim_ms, found.aim_ms)
            return await self._announce(
                Progress(found.round + 1, aim_ms, found.rolled_ms, raw_from_ms)
            )
        return found

    async def _announce(self, progress: Progress) -> Progress:
        await self._notes.note(
            round=progress.round,
            aim_ms=progress.aim_ms,
            rolled_ms=progress.rolled_ms,
            raw_from_ms=progress.raw_from_ms,
        )
        return progress

    def _raw_from_ms(self, now_ms: int, before_ms: int) -> int:
        if not self._raw_keeps_s:
            return before_ms
        return max(before_ms, floor_to(HOUR_MS, now_ms - self._raw_keeps_s * 1_000))

    def _has_rested(self, progress: Progress) -> bool:
        now_s = monotonic()
        if self._seen is None or self._seen[0] != progress.round:
            self._seen = (progress.round, now_s)
        return now_s - self._seen[1] >= self._rest_s

    async def _advance(self, progress: Progress, now_ms: int, end_s: float) -> int:
        """Roll up to the aim; return how far (ms) it came."""
        rolled_ms = progress.rolled_ms
        while rolled_ms < progress.aim_ms and monotonic() < end_s:
            stretch = await self._next(Stretch(rolled_ms, progress.aim_ms), now_ms)
            await self._paced(stretch, Whose())
            hours = Stretch(floor_to(HOUR_MS, rolled_ms), floor_to(HOUR_MS, stretch.to_ms))
            await self._roller.roll_hours(hours, Whose())
            rolled_ms = stretch.to_ms
            await self._notes.note(rolled_ms=rolled_ms)
        return rolled_ms

    async def _next(self, left: Stretch, now_ms: int) -> Stretch:
        """Return what is rolled up next; a long time begins at the hour of its first point."""
        from_ms = min(max(left.from_ms, self._kept_from_ms(now_ms)), left.to_ms)
        if left.to_ms - from_ms > _LONG_MS:
            first_ns = await self._roller.first_ns(Stretch(from_ms, left.to_ms))
            from_ms = (
                left.to_ms
                if first_ns is None
                else max(from_ms, floor_to(HOUR_MS, first_ns // NS_PER_MS))
            )
        return Stretch(from_ms, min(from_ms + self._pace.span_ms, left.to_ms))

    def _kept_from_ms(self, now_ms: int) -> int:
        """Return from when on (ms) there may be rollups."""
        if not self._keep_s:
            return _EARLIEST_MS
        return ceil_to(HOUR_MS, now_ms - self._keep_s * 1_000) + HOUR_MS

    async def _redo(self, progress: Progress, now_ms: int, end_s: float) -> None:
        """Take up the marks of the rounds before, page by page."""
        bounds = Stretch(max(progress.raw_from_ms, self._kept_from_ms(now_ms)), progress.aim_ms)
        for number in await self._notes.rounds():
            if number >= progress.round:
                return
            at_ms = _EARLIEST_MS
            if self._redone is not None and self._redone[0] == number:
                at_ms = self._redone[1]
            while page := await self._notes.page(number, at_ms):
                redos, at_ms = whole_hours(page, is_full=len(page) == MARKS_AT_ONCE)
                for redo in redos:
                    await self._roll_anew(redo.stretch, bounds, redo.whose)
                self._redone = (number, at_ms)
                if monotonic() > end_s:
                    return
            await self._notes.forget(number)
            self._redone = None

    async def _roll_anew(self, stretch: Stretch, bounds: Stretch, whose: Whose) -> None:
        at_ms, to_ms = max(stretch.from_ms, bounds.from_ms), min(stretch.to_ms, bounds.to_ms)
        while at_ms < to_ms:
            part = Stretch(at_ms, min(at_ms + self._pace.span_ms, to_ms))
            await self._paced(part, whose)
            at_ms = part.to_ms
        await self._roller.roll_hours(Stretch(max(stretch.from_ms, bounds.from_ms), to_ms), whose)

    async def _paced(self, stretch: Stretch, whose: Whose) -> None:
        began_s = monotonic()
        try:
            await self._roller.roll(stretch, whose)
        except StoreAway:
            # Perhaps it was too much at once.
            self._pace.note(float("inf"))
            raise
        self._pace.note(monotonic() - began_s)
