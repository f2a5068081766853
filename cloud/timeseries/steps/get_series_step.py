"""Returns stored points: raw and in pages, or one point a step."""

from typing import Any

import msgspec

from cloud.timeseries.paging import decode_cursor, encode_cursor
from cloud.timeseries.port import Page, Place, Series, SeriesQuery, TimeSeries
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey

_DEFAULT_LIMIT = 10_000
_MAX_LIMIT = 100_000
_MAX_STEPS = 100_000
_INT64_MAX = 2**63 - 1
_TIME = {"type": "integer", "minimum": -_INT64_MAX, "maximum": _INT64_MAX}

config = {
    "type": "api",
    "name": "GetSeries",
    "description": "Returns points of a device: from inclusive, to exclusive, in Unix ms",
    "flows": ["timeseries"],
    "method": "GET",
    "path": "/api/v1/series",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "required": ["tenant", "device", "from", "to"],
        "properties": {
            "tenant": {"type": "string"},
            "device": {"type": "string"},
            "metric": {"type": "string"},
            "from": _TIME,
            "to": _TIME,
            "step": {"type": "integer", "minimum": 1, "maximum": _INT64_MAX},
            "agg": {"enum": ["mean", "min", "max", "last", "sum", "count"]},
            "limit": {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT},
            "cursor": {"type": "string"},
        },
    },
}


async def handler(req: Request, _ctx: Context, *, telemetry: TimeSeries) -> dict[str, Any]:
    """Answer with the series that have points; `next_cursor` continues raw points."""
    asked = req.query_params
    query = SeriesQuery(
        from_ms=asked["from"],
        to_ms=asked["to"],
        tenant=asked["tenant"],
        device=asked["device"],
        metric=asked.get("metric"),
        step_ms=asked.get("step"),
        aggregate=asked.get("agg", "mean"),
    )
    page = await _page(telemetry, query, asked)
    next_cursor = None if page.next is None else encode_cursor(page.next)
    body = {"series": [_shown(one) for one in page.series], "next_cursor": next_cursor}
    return {"status": 200, "body": body}


async def _page(telemetry: TimeSeries, query: SeriesQuery, asked: dict[str, Any]) -> Page:
    if query.step_ms is None:
        limit = asked.get("limit", _DEFAULT_LIMIT)
        return await telemetry.page(query, limit=limit, start=_start(asked))
    if (query.to_ms - query.from_ms) // query.step_ms > _MAX_STEPS:
        raise HTTPError(422, f"more than {_MAX_STEPS} steps: choose a longer step")
    return Page(await telemetry.read(query), None)


def _start(asked: dict[str, Any]) -> Place | None:
    if "cursor" not in asked:
        return None
    try:
        return decode_cursor(asked["cursor"], DeviceKey(asked["tenant"], asked["device"]))
    except Malformed as exc:
        raise HTTPError(422, str(exc)) from exc


def _shown(series: Series) -> dict[str, Any]:
    return {**series.key._asdict(), "points": msgspec.to_builtins(series.points)}
