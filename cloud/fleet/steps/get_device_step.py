"""Shows one device: its presence and the newest value of each of its metrics."""

from typing import Any

from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.timeseries.port import TimeSeries
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

config = {
    "type": "api",
    "name": "GetDevice",
    "description": "Returns one device with its presence and latest values",
    "flows": ["fleet"],
    "method": "GET",
    "path": "/api/v1/devices/:tenant/:device",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(
    req: Request, _ctx: Context, *, registry: Registry, presence: Presence, telemetry: TimeSeries
) -> dict[str, Any]:
    """Answer with the device; 404 when nobody knows it."""
    try:
        key = DeviceKey(tenant_id(req.path_params["tenant"]), device_id(req.path_params["device"]))
    except Malformed as exc:
        raise HTTPError(404, "no such device") from exc
    device = registry.get(key)
    if device is None:
        raise HTTPError(404, "no such device")
    latest = await telemetry.latest(key.tenant, key.device)
    seen = presence.of(key)
    body = {
        "tenant": key.tenant,
        "device": key.device,
        "created_at_ms": device.created_at_ms,
        "last_heard_ms": seen.last_heard_ms,
        "online": seen.online,
        "latest": [
            {"metric": one.key.metric, "ts_ms": one.ts_ms, "value": one.value} for one in latest
        ],
    }
    return {"status": 200, "body": body}
