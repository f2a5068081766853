"""Says that something like an InfluxDB is here: its clients ask before they write."""

from typing import Any

from cloud.ingest.http.influx_answers import pinged
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "InfluxPing",
    "description": "Answers as InfluxDB's /ping does, to everybody",
    "flows": ["ingest"],
    "method": "GET",
    "path": "/ping",
    "middleware": [],
    "emits": [],
}


async def handler(req: Request, _ctx: Context) -> dict[str, Any]:
    """Answer 204 with a version in the headers; `?verbose=true` gets it in the body."""
    return pinged(is_verbose=req.query_params.get("verbose", "") in ("1", "true"))
