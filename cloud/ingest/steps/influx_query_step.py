"""Agrees to `CREATE DATABASE`: Telegraf's `outputs.influxdb` asks for it when it starts."""

import re
from typing import Any

from cloud.ingest.http.influx_answers import ANSWERS_V1, done, texts
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

_CREATE = re.compile(r"\s*CREATE\s+DATABASE\s+\S", re.IGNORECASE)

config = {
    "type": "api",
    "name": "InfluxQuery",
    "description": "Agrees to CREATE DATABASE, and to nothing else, as InfluxDB 1.x would",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/query",
    "middleware": [
        "influxMiddleware",
        "addressLimitMiddleware",
        "passwordIsTokenMiddleware",
        "influxPasswordMiddleware",
        "deviceMiddleware",
        "tokenLimitMiddleware",
    ],
    "emits": [],
    "queryParams": texts("q"),
    "responseSchema": {**ANSWERS_V1, 200: {"type": "object"}},
}


async def handler(req: Request, _ctx: Context) -> dict[str, Any]:
    """Answer 200 to CREATE DATABASE: there is nothing to create. 400 to every other statement."""
    form = req.body if isinstance(req.body, dict) else {}
    statement = req.query_params.get("q") or form.get("q")
    if not isinstance(statement, str) or not _CREATE.match(statement):
        raise HTTPError(400, "only CREATE DATABASE: read by GET /api/v1/series")
    return done()
