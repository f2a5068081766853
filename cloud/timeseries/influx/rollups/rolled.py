"""Reads steps: out of rollups where these say what the points would, else out of the points."""

from functools import partial

import msgspec

from cloud.timeseries.buckets import Stretch, level_of
from cloud.timeseries.influx.influxql import Whose
from cloud.timeseries.influx.lines import NS_PER_MS, TELEMETRY
from cloud.timeseries.influx.names import name_of
from cloud.timeseries.influx.reading import Reader
from cloud.timeseries.influx.rollups import rollupql
from cloud.timeseries.influx.rollups.notes import Notes
from cloud.timeseries.influx.rollups.steps import Part, joined_steps, parts_of, served, step_scans
from cloud.timeseries.influx.scanning import growing, unfinished
from cloud.timeseries.port import Series, SeriesQuery
from wire.ids import SeriesKey

_LAST = "last_"
# By (tenant, device) where some of the device's hours are late; None for all others.
_Parts = dict[tuple[str, str] | None, list[Part]]


class StepReader:
    """Reads steps of one database; without `notes` there are no rollups in it."""

    def __init__(self, reader: Reader, notes: Notes | None) -> None:
        self._reader = reader
        self._notes = notes

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return one point for each step that has data (see the port)."""
        most = 2**62 if limit is None else limit
        if query.from_ms >= query.to_ms or "" in (query.tenant, query.device, query.metric):
            return []
        level_ms = level_of(query.step_ms or 1)
        parts = None if level_ms is None else await self._rolled_up(query, level_ms)
        if parts is None:
            parts = {None: [Part(Stretch(query.from_ms, query.to_ms), None)]}
        keys = await self._keys(query, parts)
        return await self._read_all(query, keys, parts, most=most)

    async def _rolled_up(self, query: SeriesQuery, level_ms: int) -> _Parts | None:
        """Return what to ask where; None when nothing of the range is rolled up."""
        progress = None if self._notes is None else await self._notes.progress()
        use = None if progress is None else served(query, level_ms, progress.rolled_ms)
        if self._notes is None or progress is None or use is None:
            return None
        late = await self._notes.late(Whose(query.tenant, query.device), use)
        split = partial(parts_of, query, use, level_ms, raw_from_ms=progress.raw_from_ms)
        parts: _Parts = {None: split(late_ms=[])}
        return parts | {device: split(late_ms=hours_ms) for device, hours_ms in late.items()}

    async def _read_all(
        self,
        query: SeriesQuery,
        keys: list[SeriesKey],
        parts: _Parts,
        *,
        most: int,
    ) -> list[Series]:
        found: list[Series] = []
        left = most
        for group in growing(keys, self._reader.statements * 2):
            if left <= 0:
                break
            scans = {
                key: step_scans(query, key, parts.get(key[:2], parts[None]), most=left)
                for key in group
            }
            while pending := unfinished(scans.values(), left):
                results = await self._reader.ask(scan.statement() for scan in pending)
                for scan, result in zip(pending, results, strict=True):
                    scan.take(result)
            for key, of_one in scans.items():
                steps = joined_steps(query.aggregate, of_one)[:left]
                left -= len(steps)
                if steps:
                    found.append(Series(key, [(ns // NS_PER_MS, value) for ns, value in steps]))
        return found

    async def _keys(self, query: SeriesQuery, parts: _Parts) -> list[SeriesKey]:
        """Return the series that have rollups or points where those are asked."""
        if None not in (query.tenant, query.device, query.metric):
            return sorted(await self._reader.keys(query, TELEMETRY))
        keys: set[SeriesKey] = set()
        asked = [part for part in parts[None] if part.level_ms is None]
        cuts = [part.stretch for of_one in parts.values() for part in of_one if not part.level_ms]
        if len(parts) > 1 and cuts:
            # Of some devices the points are asked for in between, too.
            asked = [Part(_around(cuts), None)]
        for part in asked + [part for part in parts[None] if part.level_ms is not None]:
            keys |= await self._keys_in(part, query)
        return sorted(keys)

    async def _keys_in(self, part: Part, query: SeriesQuery) -> set[SeriesKey]:
        if part.level_ms is None:
            from_ms, to_ms = part.stretch
            span = msgspec.structs.replace(query, from_ms=from_ms, to_ms=to_ms)
            return await self._reader.keys(span, TELEMETRY)
        names = [query.metric] if query.metric else await self._metrics()
        newest = partial(
            rollupql.newest_in,
            part.level,
            whose=Whose(query.tenant, query.device),
            span=rollupql.span_of(part.stretch),
        )
        return await self._reader.owners(names, newest)

    async def _metrics(self) -> list[str]:
        [result] = await self._reader.ask([rollupql.fields_in_rollups()])
        fields = [row[0] for rows in result.series for row in rows.values]
        return sorted(name_of(one.removeprefix(_LAST)) for one in fields if one.startswith(_LAST))


def _around(stretches: list[Stretch]) -> Stretch:
    return Stretch(
        min(stretch.from_ms for stretch in stretches), max(stretch.to_ms for stretch in stretches)
    )
