"""Raw points in pages: where one page ends, the next begins, whatever was stored meanwhile."""

import base64
import binascii
from typing import NamedTuple

import msgspec

from cloud.timeseries.port import Series, SeriesQuery, TimeSeries
from wire.errors import Malformed


class Place(NamedTuple):
    """Where a page begins: at a metric, and a time (Unix ms) in its series."""

    metric: str
    from_ms: int


class Page(NamedTuple):
    """Some series' points, and where the next page begins; None after the last."""

    series: list[Series]
    next: Place | None


async def read_page(
    store: TimeSeries, query: SeriesQuery, *, limit: int, start: Place | None
) -> Page:
    """Read at most `limit` raw points of one device, from `start` on."""
    metrics = [query.metric] if query.metric is not None else await _metrics(store, query)
    found: list[Series] = []
    left = limit
    for metric in metrics:
        if start is not None and metric < start.metric:
            continue
        is_start = start is not None and metric == start.metric
        from_ms = start.from_ms if start is not None and is_start else query.from_ms
        part = msgspec.structs.replace(query, metric=metric, from_ms=max(from_ms, query.from_ms))
        for series in await store.read(part, limit=left + 1):
            points = series.points
            if len(points) > left:
                kept = [Series(series.key, points[:left])] if left else []
                return Page(found + kept, Place(metric, points[left][0]))
            found.append(series)
            left -= len(points)
    return Page(found, None)


def encode_cursor(place: Place) -> str:
    """Return a place as a text for a query string."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str) -> Place:
    """Return the place that a cursor stands for; raise `Malformed`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise Malformed("cursor is not one of ours") from exc


async def _metrics(store: TimeSeries, query: SeriesQuery) -> list[str]:
    """Return the device's metrics in order."""
    return [latest.key.metric for latest in await store.latest(query.tenant, query.device)]
