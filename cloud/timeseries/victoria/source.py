"""What a VictoriaMetrics has of one installation: its series, their samples, values of PromQL."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from cloud.timeseries.port import SeriesQuery
from cloud.timeseries.servers.answers import decoded, good
from cloud.timeseries.servers.http import Http
from cloud.timeseries.stepping import Points
from cloud.timeseries.victoria.samples import (
    NUMBERS,
    STATES,
    Samples,
    key_of,
    selector,
    value_of,
)
from wire.ids import SeriesKey

T = TypeVar("T")

_BOTH = f"{NUMBERS}|{STATES}"
_LINE_ROWS = "10000"
_Sample = tuple[int, str, float]  # ts_ms, state ("" of a number), number


class Row(msgspec.Struct):
    """A series in an answer to PromQL: its value now, or its values over time, as texts."""

    metric: dict[str, str]
    value: tuple[float, str] = (0.0, "")
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct, frozen=True):
    result: list[Row] = []


class _Answered(msgspec.Struct):
    data: _Data = _Data()
    error: str | None = None


class _Listed(msgspec.Struct):
    data: list[dict[str, str]] = []


class Source:
    """Asks a server; every method may raise `StoreAway`."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._name, self._database = http.address.name, http.address.database

    async def keys(self, span: SeriesQuery) -> dict[SeriesKey, set[str]]:
        """Return the series that may have points in the range, and in which of both kinds."""
        if span.from_ms >= span.to_ms:
            return {}
        params = {"match[]": self.selector(span, _BOTH), **_times(span)}
        listed = await self._get("series", params, _Listed)
        keys: dict[SeriesKey, set[str]] = defaultdict(set)
        for metric in listed.data:
            keys[key_of(metric)].add(metric["__name__"])
        return keys

    async def points(
        self, key: SeriesKey, names: Iterable[str], span: SeriesQuery, *, most: int
    ) -> Points:
        """Return at least the first `most` points of a series in a range, each once."""
        found: set[_Sample] = set()
        for name in sorted(names):
            # States are many series, one after another: those of all are needed to sort them.
            enough = most if name == NUMBERS else 2**62
            found |= await self._samples(SeriesQuery(span.from_ms, span.to_ms, *key), name, enough)
        return [
            (ts_ms, value_of({"state": state} if state else {}, number))
            for ts_ms, state, number in sorted(found)
        ]

    async def _samples(self, span: SeriesQuery, name: str, enough: int) -> set[_Sample]:
        found: set[_Sample] = set()
        params = {"match[]": self.selector(span, name), "max_rows_per_line": _LINE_ROWS}
        async with self._http.lines("/api/v1/export", params | _times(span)) as lines:
            async for line in lines:
                samples = decoded(self._name, line, Samples)
                state = samples.metric.get("state", "")
                found.update(
                    (ts_ms, state, number)
                    for ts_ms, number in zip(samples.timestamps, samples.values, strict=True)
                    if number is not None
                )
                # Of the last time there may be more to come, that stand before these.
                last_ms = max(samples.timestamps, default=0)
                if len(found) - samples.timestamps.count(last_ms) >= enough:
                    break
        return found

    async def ask(self, path: str, params: dict[str, str]) -> list[Row]:
        """Return what a query of PromQL gives."""
        return (await self._get(path, params, _Answered)).data.result

    async def _get(self, path: str, params: dict[str, str], kind: type[T]) -> T:
        answer = good(self._name, await self._http.get(f"/api/v1/{path}", params))
        return decoded(self._name, answer.body, kind)

    def selector(self, query: SeriesQuery, names: str) -> str:
        """Return the selector of the series that a query is about."""
        return selector(
            names, self._database, tenant=query.tenant, device=query.device, metric=query.metric
        )


def _times(span: SeriesQuery) -> dict[str, str]:
    # Both ends are included.
    return {"start": seconds(span.from_ms), "end": seconds(span.to_ms - 1)}


def seconds(ts_ms: int) -> str:
    """Return a time as the server takes it, to the millisecond."""
    return f"{ts_ms // 1_000}.{ts_ms % 1_000:03}"
