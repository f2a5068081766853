"""Takes line protocol as InfluxDB 1.x does: Telegraf's `outputs.influxdb` writes here."""

from typing import Any

from cloud.ingest.http.gateway import Gateway
from cloud.ingest.http.influx_answers import ANSWERS_V1
from cloud.ingest.http.influx_writing import take_lines
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "InfluxWrite",
    "description": "Stores line protocol as InfluxDB 1.x does; the password is the device's token",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/write",
    "middleware": [
        "influxMiddleware",
        "addressLimitMiddleware",
        "passwordIsTokenMiddleware",
        "influxPasswordMiddleware",
        "deviceMiddleware",
        "tokenLimitMiddleware",
    ],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            name: {"type": "string"} for name in ("precision", "db", "rp", "p", "tenant", "device")
        },
    },
    "responseSchema": ANSWERS_V1,
}


async def handler(req: Request, _ctx: Context, *, gateway: Gateway) -> dict[str, Any]:
    """Answer 204; 400 `partial write` names lines that were refused, the others are stored.

    `precision` is heeded; `db`, `rp` and `consistency` say nothing here: whose the readings are
    says the token.
    """
    return await take_lines(req, gateway)
