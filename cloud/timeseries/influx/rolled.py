"""Reads steps out of rollups where these say what the points would, else out of the points."""

from functools import partial

import msgspec

from cloud.timeseries.buckets import Stretch, level_of
from cloud.timeseries.influx import rollupql
from cloud.timeseries.influx.influxql import Whose
from cloud.timeseries.influx.lines import NS_PER_MS, TELEMETRY
from cloud.timeseries.influx.names import name_of
from cloud.timeseries.influx.notes import Notes
from cloud.timeseries.influx.reading import Reader
from cloud.timeseries.influx.rollupql import LEVELS
from cloud.timeseries.influx.scanning import growing, unfinished
from cloud.timeseries.influx.steps import Part, joined_steps, parts_of, served, step_scans
from cloud.timeseries.port import Series, SeriesQuery
from wire.ids import SeriesKey

_LAST = "last_"
# By (tenant, device) where some of the device's hours are late; None for all others.
_Parts = dict[tuple[str, str] | None, list[Part]]


class StepReader:
    """Reads steps of one database of InfluxDB 1, through the reader of its points."""

    def __init__(self, reader: Reader, notes: Notes) -> None:
        self._reader = reader
        self._notes = notes

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return one point for each step that has data (see the port)."""
        level_ms = level_of(query.step_ms or 1)
        progress = await self._notes.progress() if level_ms is not None else None
        if level_ms is None or progress is None or "" in (query.tenant, query.device, query.metric):
            return await self._reader.read(query, limit=limit)
        use = served(query, level_ms, progress.rolled_ms)
        if use is None:
            return await self._reader.read(query, limit=limit)
        late = await self._notes.late(Whose(query.tenant, query.device), use)
        split = partial(parts_of, query, use, level_ms, raw_from_ms=progress.raw_from_ms)
        parts: _Parts = {None: split(late_ms=[])}
        parts |= {device: split(late_ms=hours_ms) for device, hours_ms in late.items()}
        keys = await self._keys(query, level_ms, use, parts)
        return await self._read_all(query, keys, parts, most=2**62 if limit is None else limit)

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

    async def _keys(
        self, query: SeriesQuery, level_ms: int, use: Stretch, parts: _Parts
    ) -> list[SeriesKey]:
        """Return the series that have rollups or points where those are asked."""
        if None not in (query.tenant, query.device, query.metric):
            return sorted(await self._reader.keys(query, TELEMETRY))
        keys = await self._keys_in_rollups(query, level_ms, use)
        asked = {part.stretch for part in parts[None] if part.level_ms is None}
        cuts = [part.stretch for of_one in parts.values() for part in of_one if not part.level_ms]
        if len(parts) > 1 and cuts:
            # Of some devices the points are asked for in between, too.
            asked = {Stretch(min(cut.from_ms for cut in cuts), max(cut.to_ms for cut in cuts))}
        for stretch in asked:
            span = msgspec.structs.replace(query, from_ms=stretch.from_ms, to_ms=stretch.to_ms)
            keys |= await self._reader.keys(span, TELEMETRY)
        return sorted(keys)

    async def _keys_in_rollups(
        self, query: SeriesQuery, level_ms: int, use: Stretch
    ) -> set[SeriesKey]:
        names = [query.metric] if query.metric else await self._metrics()
        whose, span = Whose(query.tenant, query.device), rollupql.span_of(use)
        return await self._reader.owners(
            names,
            lambda group: rollupql.newest_in(LEVELS[level_ms], group, whose=whose, span=span),
        )

    async def _metrics(self) -> list[str]:
        [result] = await self._reader.ask([rollupql.fields_in_rollups()])
        fields = [row[0] for rows in result.series for row in rows.values]
        return sorted(name_of(one.removeprefix(_LAST)) for one in fields if one.startswith(_LAST))
