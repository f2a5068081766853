"""Takes telemetry over HTTP: the same payloads as MQTT, answered once they are durable."""

from typing import Any

import msgspec

from cloud.ingest.gateway import Gateway
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

config = {
    "type": "api",
    "name": "PostTelemetry",
    "description": "Stores a telemetry payload of the token's device, or of ?tenant=&device=",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/api/v1/telemetry",
    "middleware": ["deviceMiddleware"],
    "emits": [],
}


async def handler(req: Request, _ctx: Context, *, gateway: Gateway) -> dict[str, Any]:
    """Answer 202 with what was accepted and rejected.

    400 when nothing of it can be read, 413 when it is larger than a message may be.
    """
    try:
        content_type = req.headers.get("content-type")
        accepted = await gateway.accept(_device(req), req.raw_body, content_type=content_type)
    except Malformed as exc:
        raise HTTPError(400, str(exc)) from exc
    return {"status": 202, "body": msgspec.to_builtins(accepted)}


def _device(req: Request) -> DeviceKey:
    """Return whose telemetry it is: a device is itself, the administrator names one."""
    user, asked = req.user, req.query_params
    if "tenant" in user and "device" in user:
        if any(asked.get(name, user[name]) != user[name] for name in ("tenant", "device")):
            raise HTTPError(403, "a device's token writes only as that device")
        names = user
    elif "tenant" in asked and "device" in asked:
        names = asked
    else:
        raise HTTPError(400, "name the device: ?tenant=…&device=…")
    return DeviceKey(tenant_id(names["tenant"]), device_id(names["device"]))
