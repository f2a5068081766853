"""Takes line protocol as InfluxDB 2.x does: Telegraf's `outputs.influxdb_v2` writes here."""

from typing import Any

from cloud.ingest.http.gateway import Gateway
from cloud.ingest.http.influx_answers import ANSWERS_V2
from cloud.ingest.http.influx_writing import take_lines
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "InfluxWriteV2",
    "description": "Stores line protocol as InfluxDB 2.x does, by `Authorization: Token …`",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/api/v2/write",
    "middleware": [
        "influxV2Middleware",
        "addressLimitMiddleware",
        "deviceMiddleware",
        "tokenLimitMiddleware",
    ],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            name: {"type": "string"} for name in ("precision", "org", "bucket", "tenant", "device")
        },
    },
    "responseSchema": ANSWERS_V2,
}


async def handler(req: Request, _ctx: Context, *, gateway: Gateway) -> dict[str, Any]:
    """Answer 204; 400 names lines that were refused, the others are stored.

    `precision` is heeded; `org` and `bucket` say nothing here: whose the readings are says the
    token.
    """
    return await take_lines(req, gateway)
