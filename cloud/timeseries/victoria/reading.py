"""Read what is stored in VictoriaMetrics: raw samples by export, aggregates by PromQL.

Doubles, which a redelivery leaves, are removed here: sums, counts and means of steps that have some
are made here of the samples, unless the server removes doubles itself
(`-dedup.minScrapeInterval=1ms`). PromQL invents the values of the last seconds, so those are made
here, too.
"""

from collections import defaultdict

import msgspec

from cloud.timeseries.port import Latest, Page, Place, Series, SeriesQuery
from cloud.timeseries.servers.http import Http
from cloud.timeseries.stepping import Points, stepped
from cloud.timeseries.victoria.flags import AHEAD_MS
from cloud.timeseries.victoria.samples import (
    NUMBERS,
    STATES,
    Limits,
    key_of,
    value_of,
)
from cloud.timeseries.victoria.source import Source, seconds
from wire.ids import SeriesKey
from wire.messages import Value

# Nothing is older: see `flags.Flags.limits`.
_FIRST_MS = 86_400_000
_UNSURE_MS = 120_000
_DAY_MS = 86_400_000
_MOST_STEPS = 10_000
_MOST_QUERIES = 20
_FUNCTIONS = {
    "mean": "avg_over_time",
    "min": "min_over_time",
    "max": "max_over_time",
    "last": "last_over_time",
    "sum": "sum_over_time",
    "count": "count_over_time",
}
# Doubles do not change these.
_STEADY = frozenset({"min", "max", "last"})
# The least time between two samples of a step: 0 when two have the same.
_LEAST_APART = 'label_match(rollup_scrape_interval({samples}), "rollup", "min")'


class Reader:
    """Reads what one installation has stored."""

    def __init__(self, http: Http) -> None:
        self._source = Source(http)

    async def read(self, query: SeriesQuery, *, limits: Limits, most: int) -> list[Series]:
        """Return at most `most` raw points of the range."""
        span = _within(query, limits)
        found: list[Series] = []
        for key, names in sorted((await self._source.keys(span)).items()):
            points = (await self._source.points(key, names, span, most=most))[:most]
            most -= len(points)
            if points:
                found.append(Series(key, points))
            if most <= 0:
                break
        return found

    async def read_steps(
        self, query: SeriesQuery, *, limits: Limits, most: int, drops_doubles: bool
    ) -> list[Series]:
        """Return at most `most` aggregates of the range, a step each."""
        step_ms = query.step_ms or 1
        span = _within(query, limits)
        settled_ms = limits.newest_ms - AHEAD_MS - _UNSURE_MS
        first_ms = -(-span.from_ms // step_ms) * step_ms
        last_ms = max(min(span.to_ms, settled_ms) // step_ms * step_ms, first_ms)
        steps = (last_ms - first_ms) // step_ms
        if not 0 < steps <= _MOST_STEPS * _MOST_QUERIES:
            parts = [await self._steps_here(span, step_ms)]
        else:
            whole = _cut(span, first_ms, last_ms)
            there = await self._steps_there(
                whole, step_ms, f"{_FUNCTIONS[span.aggregate]}({{samples}})"
            )
            if query.aggregate not in _STEADY and not drops_doubles:
                await self._mend(there, whole, step_ms)
            parts = [
                await self._steps_here(_cut(span, span.from_ms, first_ms), step_ms),
                there,
                await self._steps_here(_cut(span, last_ms, span.to_ms), step_ms),
            ]
        found: list[Series] = []
        for key in sorted({key for part in parts for key in part}):
            points = [point for part in parts for point in part.get(key, [])][: max(most, 0)]
            most -= len(points)
            if points:
                found.append(Series(key, points))
        return found

    async def page(
        self, query: SeriesQuery, *, limits: Limits, limit: int, start: Place | None
    ) -> Page:
        """Return points from `start` on; a place's order is the rank of its value."""
        span = _within(query, limits)
        found: list[Series] = []
        left = limit
        for key, names in sorted((await self._source.keys(span)).items()):
            if start is not None and key < start.key:
                continue
            from_ms, skipped = span.from_ms, 0
            if start is not None and key == start.key and start.ts_ms >= span.from_ms:
                from_ms, skipped = start.ts_ms, max(start.order, 0)
            part = _cut(span, from_ms, span.to_ms)
            # Of the start's own millisecond some are skipped, all of them may have to be.
            points = await self._source.points(key, names, part, most=left + 1 + skipped)
            points = _after(points, from_ms, skipped)
            if points[:left]:
                found.append(Series(key, points[:left]))
            if len(points) > left:
                rank = _rank(points, left) + (skipped if points[left][0] == from_ms else 0)
                return Page(found, Place(key, points[left][0], rank))
            left -= len(points)
        return Page(found, None)

    async def latest(self, whose: SeriesQuery, limits: Limits) -> list[Latest]:
        """Return the newest point of each series; of a state and a number the state."""
        newest: dict[SeriesKey, Latest] = {}
        for name in (NUMBERS, STATES):
            wanted = self._source.selector(whose, name)
            window = f"{wanted}[{limits.newest_ms - _FIRST_MS}ms]"
            at_s = {"time": seconds(limits.newest_ms), "nocache": "1"}
            times = await self._source.ask("query", {"query": f"tlast_over_time({window})", **at_s})
            values = await self._source.ask("query", {"query": f"last_over_time({window})", **at_s})
            value_by = {_labels(row.metric): float(row.value[1]) for row in values}
            for row in times:
                key, ts_ms = key_of(row.metric), round(float(row.value[1]) * 1_000)
                number = value_by.get(_labels(row.metric))
                if number is not None and (key not in newest or ts_ms >= newest[key].ts_ms):
                    metric = {**row.metric, "__name__": name}
                    newest[key] = Latest(key, ts_ms, value_of(metric, number))
        return [newest[key] for key in sorted(newest)]

    async def _steps_here(self, span: SeriesQuery, step_ms: int) -> dict[SeriesKey, Points]:
        found: dict[SeriesKey, Points] = {}
        for key, names in (await self._source.keys(span)).items():
            if NUMBERS in names:
                points = await self._source.points(key, {NUMBERS}, span, most=2**62)
                found[key] = stepped(points, step_ms, span.aggregate)
        return found

    async def _steps_there(
        self, span: SeriesQuery, step_ms: int, function: str
    ) -> dict[SeriesKey, Points]:
        """Ask for whole steps; PromQL looks back from the end of each, which it includes."""
        found: dict[SeriesKey, Points] = defaultdict(list)
        samples = f"{self._source.selector(span, NUMBERS)}[{step_ms}ms]"
        for from_ms in range(span.from_ms, span.to_ms, _MOST_STEPS * step_ms):
            to_ms = min(from_ms + _MOST_STEPS * step_ms, span.to_ms)
            params = {
                "query": function.format(samples=samples),
                "start": seconds(from_ms + step_ms - 1),
                "end": seconds(to_ms - 1),
                "step": f"{step_ms}ms",
                "nocache": "1",
            }
            for row in await self._source.ask("query_range", params):
                found[key_of(row.metric)] += [
                    (round(at_s * 1_000) + 1 - step_ms, float(number))
                    for at_s, number in row.values
                ]
        return found

    async def _mend(self, steps: dict[SeriesKey, Points], span: SeriesQuery, step_ms: int) -> None:
        """Make those steps anew of their samples that have several of the same time."""
        apart = await self._steps_there(span, step_ms, _LEAST_APART)
        for key, least in apart.items():
            starts_ms = [start_ms for start_ms, apart_s in least if apart_s == 0]
            mended: dict[int, Value] = {}
            for from_ms, to_ms in _runs(starts_ms, step_ms):
                part = _cut(span, from_ms, to_ms)
                points = await self._source.points(key, {NUMBERS}, part, most=2**62)
                mended |= stepped(points, step_ms, span.aggregate)
            steps[key] = [(ms, mended.get(ms, number)) for ms, number in steps[key]]


def _runs(starts_ms: list[int], step_ms: int) -> list[tuple[int, int]]:
    """Join steps that follow one another, as long as a run is no longer than a day."""
    runs: list[tuple[int, int]] = []
    for start_ms in starts_ms:
        end_ms = start_ms + step_ms
        if runs and runs[-1][1] == start_ms and end_ms - runs[-1][0] <= _DAY_MS:
            runs[-1] = (runs[-1][0], end_ms)
        else:
            runs.append((start_ms, end_ms))
    return runs


def _within(query: SeriesQuery, limits: Limits) -> SeriesQuery:
    """Return the query over those times of its range of which there can be something."""
    # What has been taken as far ahead as may be is still ahead.
    last_ms = limits.newest_ms + AHEAD_MS
    return _cut(query, max(query.from_ms, _FIRST_MS), min(query.to_ms, last_ms))


def _cut(query: SeriesQuery, from_ms: int, to_ms: int) -> SeriesQuery:
    return msgspec.structs.replace(query, from_ms=from_ms, to_ms=to_ms)


def _after(points: Points, from_ms: int, skipped: int) -> Points:
    """Leave out the first points of the first millisecond."""
    same = sum(1 for ts_ms, _ in points[:skipped] if ts_ms == from_ms)
    return points[same:]


def _rank(points: Points, index: int) -> int:
    """Return how many points of the same millisecond stand before one."""
    rank = 0
    while rank < index and points[index - rank - 1][0] == points[index][0]:
        rank += 1
    return rank


def _labels(metric: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((label, text) for label, text in metric.items() if label != "__name__"))
