"""Takes telemetry over HTTP: the same payloads as MQTT, answered once they are durable."""

from typing import Any

import msgspec

from cloud.ingest.http.bodies import plain_body
from cloud.ingest.http.callers import device_of
from cloud.ingest.http.gateway import Gateway
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed

config = {
    "type": "api",
    "name": "PostTelemetry",
    "description": "Stores a telemetry payload of the token's device, or of ?tenant=&device=",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/api/v1/telemetry",
    "middleware": [
        "addressLimitMiddleware",
        "passwordIsTokenMiddleware",
        "deviceMiddleware",
        "tokenLimitMiddleware",
    ],
    "emits": [],
}


async def handler(req: Request, _ctx: Context, *, gateway: Gateway) -> dict[str, Any]:
    """Answer 202 with what was accepted and rejected.

    `Content-Type` names the format, `Content-Encoding` how it is packed. What has an
    `Idempotency-Key` is taken once in a day: its repetition gets the first one's answer.

    400 when nothing of it can be read, 413 when it is larger than a message may be, 415 for an
    unknown coding, 409 while the key's first request is under way, 422 for another body of it.
    """
    device = device_of(req.user, req.query_params)
    payload = plain_body(req.raw_body, req.headers)
    try:
        accepted = await gateway.accept(
            device,
            payload,
            content_type=req.headers.get("content-type"),
            key=req.headers.get("idempotency-key"),
        )
    except Malformed as exc:
        raise HTTPError(400, str(exc)) from exc
    return {"status": 202, "body": msgspec.to_builtins(accepted)}
