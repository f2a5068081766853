"""Read what is stored in InfluxDB: statements in groups, answers in portions of bounded size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cloud.timeseries.influx import influxql
from cloud.timeseries.influx.influxql import Result, Rows, Whose
from cloud.timeseries.influx.lines import NS_PER_MS, STATES, TELEMETRY
from cloud.timeseries.influx.names import name_of
from cloud.timeseries.influx.scanning import growing, joined, scan_of, unfinished, value_of
from cloud.timeseries.port import Latest, Page, Place, Series, SeriesQuery
from cloud.timeseries.servers.answers import good
from cloud.timeseries.servers.http import Http
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value

_METRICS_AT_ONCE = 50
_GROUP_CHARS = 6_000
_ALWAYS = SeriesQuery(-(2**62), 2**62)


class Found(NamedTuple):
    """A series' points: (time in ns, value), in order."""

    key: SeriesKey
    points: list[tuple[int, Value]]


class Reader:
    """Reads one database; `statements` of them go into one request (InfluxDB 3 takes one)."""

    def __init__(self, http: Http, *, statements: int) -> None:
        self._http = http
        self.statements = statements

    async def ask(self, statements: Iterable[str]) -> list[Result]:
        """Return the results of statements that only read.

        Raises:
            StoreAway: the server does not answer, or cannot.
        """
        found: list[Result] = []
        for group in _groups(statements, self.statements):
            found += await self._ask_once(group)
        return found

    async def metrics(self, measurement: str) -> list[str]:
        """Return the names of all metrics that anybody has in a measurement."""
        [result] = await self.ask([influxql.fields_of(measurement)])
        return sorted(name_of(row[0]) for rows in result.series for row in rows.values)

    async def keys(self, query: SeriesQuery, measurement: str) -> set[SeriesKey]:
        """Return the series that have values in a measurement in the query's range."""
        if "" in (query.tenant, query.device, query.metric):
            return set()
        if query.metric is not None and query.device is not None and query.tenant is not None:
            return {_key(query.tenant, query.device, query.metric)}
        names = [query.metric] if query.metric else await self.metrics(measurement)
        whose, span = Whose(query.tenant, query.device), influxql.span_of(query)
        return await self.owners(
            names, lambda group: influxql.newest_of(measurement, group, whose=whose, span=span)
        )

    async def owners(
        self, metrics: list[str], newest: Callable[[list[str]], str]
    ) -> set[SeriesKey]:
        """Return the series of which there is a newest value; `newest` makes the statement."""
        groups = [
            metrics[at : at + _METRICS_AT_ONCE] for at in range(0, len(metrics), _METRICS_AT_ONCE)
        ]
        results = await self.ask(newest(group) for group in groups)
        return {
            _key(name_of(rows.tags["tenant"]), name_of(rows.tags["device"]), metric)
            for group, result in zip(groups, results, strict=True)
            for rows in _ours(result)
            for metric, value in zip(group, rows.values[0][1:], strict=True)
            if value is not None
        }

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range, raw (see the port)."""
        most = 2**62 if limit is None else limit
        found = await self._found(query, most=most, start=None)
        return [_series(one) for one in found]

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return points from `start` on, and where the next page begins (see the port)."""
        found = await self._found(query, most=limit + 1, start=start)
        if sum(len(one.points) for one in found) <= limit:
            return Page([_series(one) for one in found], None)
        *_, last = found
        ns, _ = last.points.pop()
        following = Place(last.key, *divmod(ns, NS_PER_MS))
        return Page([_series(one) for one in found if one.points], following)

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series (see the port)."""
        newest: dict[SeriesKey, tuple[int, Value]] = {}
        whose, span = Whose(tenant, device), influxql.span_of(_ALWAYS)
        query = SeriesQuery(_ALWAYS.from_ms, _ALWAYS.to_ms, tenant, device)
        for measurement in (TELEMETRY, STATES):
            metrics = sorted({key.metric for key in await self.keys(query, measurement)})
            results = await self.ask(
                influxql.newest_of(measurement, [metric], whose=whose, span=span)
                for metric in metrics
            )
            for key, point in _newest(measurement, metrics, results):
                # A state at the time of a number was the later: see `lines.Encoder`.
                if point[0] >= newest.get(key, point)[0]:
                    newest[key] = point
        return [Latest(key, ns // NS_PER_MS, value) for key, (ns, value) in sorted(newest.items())]

    async def _found(self, query: SeriesQuery, *, most: int, start: Place | None) -> list[Found]:
        """Return at most `most` points from `start` on, ordered by key and time."""
        if query.from_ms >= query.to_ms or most <= 0:
            return []
        numbers, states = await self.keys(query, TELEMETRY), await self.keys(query, STATES)
        keys = sorted(
            key for key in numbers | states if start is None or tuple(key) >= tuple(start.key)
        )
        found: list[Found] = []
        left = most
        for group in growing(keys, self.statements * 2):
            if left <= 0:
                break
            for one in await self._group(query, group, most=left, start=start):
                points = one.points[:left]
                left -= len(points)
                if points:
                    found.append(Found(one.key, points))
        return found

    async def _group(
        self, query: SeriesQuery, keys: Sequence[SeriesKey], *, most: int, start: Place | None
    ) -> list[Found]:
        """Return the first `most` points of some series, and perhaps more."""
        scans = {
            key: [scan_of(query, key, name, most=most, start=start) for name in (TELEMETRY, STATES)]
            for key in keys
        }
        while pending := unfinished(scans.values(), most):
            results = await self.ask(scan.statement() for scan in pending)
            for scan, result in zip(pending, results, strict=True):
                scan.take(result)
        return [Found(key, joined(of_one)) for key, of_one in scans.items()]

    async def _ask_once(self, statements: list[str]) -> list[Result]:
        address = self._http.address
        params = {"db": address.database, "q": "; ".join(statements), "epoch": "ns"}
        answer = await self._http.get("/query", params)
        if not answer.is_good and influxql.is_not_there(answer.text):
            # As InfluxDB 3 says it; 1.x says it with 200, in the results.
            return [Result() for _ in statements]
        results = influxql.decode_reply(good(address.name, answer).body).results
        # After a statement that fails the rest are not executed: nothing is there for them either.
        return results + [Result() for _ in statements[len(results) :]]


def _ours(result: Result) -> Iterator[Rows]:
    """Leave out what others have written without a tenant or a device."""
    return (rows for rows in result.series if rows.tags["tenant"] and rows.tags["device"])


def _newest(
    measurement: str, metrics: Sequence[str], results: list[Result]
) -> Iterator[tuple[SeriesKey, tuple[int, Value]]]:
    for metric, result in zip(metrics, results, strict=True):
        for rows in _ours(result):
            ns, stored = rows.values[0]
            value = value_of(measurement, stored)
            if value is not None:
                tenant, device = name_of(rows.tags["tenant"]), name_of(rows.tags["device"])
                yield _key(tenant, device, metric), (ns, value)


def _series(found: Found) -> Series:
    return Series(found.key, [(ns // NS_PER_MS, value) for ns, value in found.points])


def _key(tenant: str, device: str, metric: str) -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


def _groups(statements: Iterable[str], most: int) -> Iterator[list[str]]:
    """Gather statements for one request each: it has to fit into an address."""
    group: list[str] = []
    chars = 0
    for statement in statements:
        if group and (len(group) == most or chars + len(statement) > _GROUP_CHARS):
            yield group
            group, chars = [], 0
        group.append(statement)
        chars += len(statement)
    if group:
        yield group
